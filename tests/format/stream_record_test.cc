#include "shared/format/stream_record.h"

#include <doctest/doctest.h>

#include "tests/format/samples.h"

using namespace litestream;

namespace {

Bytes encoded(const StreamRecord& record) {
    const auto header = record.encode();
    return {header.begin(), header.end()};
}

const StreamRecord kSegment{StreamRecord::Type::kSegment, {"f91d0f6a327c46d2", 3, 0x1038}, 777};

Bytes with_byte(std::size_t at, std::uint8_t value) {
    Bytes bytes = encoded(kSegment);
    bytes[at] = value;
    return bytes;
}

}  // namespace

TEST_CASE("a snapshot record has the bytes that Litestream e6f7c60 sends") {
    const StreamRecord record{StreamRecord::Type::kSnapshot, {"691d0f6a327c46d2", 0, 0}, 0x4000};

    CHECK(encoded(record) == from_hex("0000000100000000691d0f6a327c46d200000000000000000000000000000000"
                                      "0000000000004000"));
}

TEST_CASE("a segment record comes back as it was") {
    const auto again = StreamRecord::decode(encoded(kSegment));

    REQUIRE(again);
    CHECK(again->type == kSegment.type);
    CHECK(again->position == kSegment.position);
    CHECK(again->size_bytes == kSegment.size_bytes);
}

TEST_CASE("the flags of a record are not looked at") { CHECK(StreamRecord::decode(with_byte(7, 1))); }

TEST_CASE("a record header of another length is refused") {
    for_each_truncation(encoded(kSegment),
                        [](const Bytes& bytes) { CHECK_FALSE(StreamRecord::decode(bytes)); });
    Bytes longer = encoded(kSegment);
    longer.push_back(0);
    CHECK_FALSE(StreamRecord::decode(longer));
}

TEST_CASE("a record with a turned bit is refused or is another one") {
    for_each_flip(encoded(kSegment), [](const Bytes& bytes) {
        const auto record = StreamRecord::decode(bytes);
        if (!record) return;
        Bytes again = encoded(*record);
        std::copy_n(bytes.begin() + 4, 4, again.begin() + 4);
        CHECK(again == bytes);
    });
}

TEST_CASE("a record that makes no sense is refused by the name of the field") {
    CHECK(StreamRecord::decode(with_byte(3, 7)).error().message == "stream record: unknown type 7");
    CHECK(StreamRecord::decode(with_byte(16, 1)).error().message ==
          "stream record: index 72057594037927939 is too large");
    CHECK(StreamRecord::decode(with_byte(24, 0x80)).error().message ==
          "stream record: offset 9223372036854779960 is too large");
    CHECK(StreamRecord::decode(with_byte(34, 1)).error().message ==
          "stream record: length 1099511628553 is beyond 8589934592");
}
