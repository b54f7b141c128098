#include "shared/format/wal.h"

#include <doctest/doctest.h>

#include "tests/format/samples.h"

using namespace litestream;

namespace {

WalHeader sample(WordOrder order) { return {order, 4096, 3, {1, 2, 3, 4, 5, 6, 7, 8}, {}}; }

Bytes encoded(const WalHeader& header) {
    const auto bytes = header.encode();
    return {bytes.begin(), bytes.end()};
}

}  // namespace

TEST_CASE("page sizes are powers of two from 512 to 65536") {
    for (const std::uint32_t size : {512u, 1024u, 4096u, 65536u}) CHECK(is_page_size(size));
    for (const std::uint32_t size : {0u, 1u, 256u, 513u, 4095u, 131072u, 0xFFFFFFFFu})
        CHECK_FALSE(is_page_size(size));
}

TEST_CASE("a WAL has a header, then frames of 24 bytes and a page") {
    CHECK(wal_size(0, 4096) == 32);
    CHECK(wal_size(2, 4096) == 0x2050);
    CHECK(wal_size(1ull << 31, 65536) == 32 + (1ull << 31) * 65560);
}

TEST_CASE("a WAL header reads as it was written") {
    for (const WordOrder order : {WordOrder::kLittle, WordOrder::kBig}) {
        const auto header = WalHeader::decode(encoded(sample(order)));
        REQUIRE(header);
        CHECK(header->word_order == order);
        CHECK(header->page_size == 4096);
        CHECK(header->checkpoint_sequence == 3);
        CHECK(header->salts == sample(order).salts);
        CHECK(encoded(*header) == encoded(sample(order)));
    }
}

TEST_CASE("a header that SQLite wrote encodes to the same bytes") {
    const Bytes bytes = from_hex("377f0682002de218000010000000000019106cabbd3d631e8053132c569e288e");
    const auto header = WalHeader::decode(bytes);

    REQUIRE(header);
    CHECK(header->page_size == 4096);
    CHECK(encoded(*header) == bytes);
}

TEST_CASE("a WAL header of another length or with a turned bit is refused") {
    for (const WordOrder order : {WordOrder::kLittle, WordOrder::kBig}) {
        const Bytes whole = encoded(sample(order));
        Bytes longer = whole;
        longer.push_back(0);

        for_each_truncation(whole, [](const Bytes& cut) { CHECK_FALSE(WalHeader::decode(cut)); });
        for_each_flip(whole, [](const Bytes& damaged) { CHECK_FALSE(WalHeader::decode(damaged)); });
        CHECK_FALSE(WalHeader::decode(longer));
    }
}

TEST_CASE("a WAL header that is refused says which rule it breaks") {
    const auto message = [](std::size_t at) {
        Bytes bytes = encoded(sample(WordOrder::kLittle));
        bytes[at] ^= 0x10;
        return WalHeader::decode(bytes).error().message;
    };
    CHECK(message(0) == "WAL header: wrong magic number");
    CHECK(message(5) == "WAL header: unknown version");
    CHECK(message(11) == "WAL header: invalid page size");
    CHECK(message(16) == "WAL header: checksum does not match");
    CHECK(message(31) == "WAL header: checksum does not match");
}

TEST_CASE("a frame header reads as it was written") {
    const FrameHeader frame{9, 12, {8, 7, 6, 5, 4, 3, 2, 1}, {0x01020304, 0xFFFFFFFF}};
    std::uint8_t bytes[kFrameHeaderSize];
    frame.encode(bytes);

    const FrameHeader back = FrameHeader::decode(bytes);

    CHECK(back.page_no == 9);
    CHECK(back.commit_pages == 12);
    CHECK(back.is_commit());
    CHECK(back.salts == frame.salts);
    CHECK(back.checksum == frame.checksum);
}

TEST_CASE("any 24 bytes are a frame header that writes back the same") {
    const Bytes whole = from_hex("00000001 00000000 0102030405060708 00000000ffffffff");
    for_each_flip(whole, [](const Bytes& bytes) {
        Bytes back(kFrameHeaderSize);
        FrameHeader::decode(bytes.data()).encode(back.data());
        CHECK(back == bytes);
    });
}
