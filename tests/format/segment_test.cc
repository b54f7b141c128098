#include "shared/format/segment.h"

#include <doctest/doctest.h>

#include "tests/format/samples.h"

using namespace litestream;

namespace {

Trailer trailer_for(const Bytes& wal) {
    Trailer trailer;
    trailer.generation = "29cf4bced74e92ab";
    trailer.end_offset = wal.size();
    trailer.page_size = 512;
    trailer.page_count = 2;
    trailer.commits = {{wal.size(), 1000}};
    return trailer;
}

Bytes write_payload(const Bytes& content, Trailer* trailer) {
    Bytes out;
    PayloadWriter writer(append_to(out));
    REQUIRE(writer.write(ByteView(content).first(content.size() / 2)));
    REQUIRE(writer.write(ByteView(content).subspan(content.size() / 2)));
    REQUIRE(writer.finish(trailer));
    CHECK(writer.size_bytes() == out.size());
    return out;
}

struct Payload {
    Bytes content;
    std::optional<Trailer> trailer;
};

Result<Payload> read_back(const Bytes& bytes) {
    MemorySource source(bytes);
    Payload payload;
    LITESTREAM_ASSIGN(payload.trailer, read_payload(source, append_to(payload.content)));
    return payload;
}

std::string error_of(const Bytes& bytes) {
    const auto payload = read_back(bytes);
    REQUIRE_FALSE(payload);
    CHECK(payload.error().code == ErrorCode::kCorrupt);
    return payload.error().message;
}

Bytes operator+(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

}  // namespace

TEST_CASE("a payload reads as it was written, trailer and all") {
    const Bytes wal = make_wal(2, {2});
    Trailer trailer = trailer_for(wal);

    const auto payload = read_back(write_payload(wal, &trailer));

    REQUIRE(payload);
    CHECK(payload->content == wal);
    CHECK(payload->trailer == trailer);
    CHECK(trailer.content_crc != 0);
}

TEST_CASE("a payload without a trailer is only its frame") {
    const Bytes wal = make_wal(0, {});
    const Bytes bytes = write_payload(wal, nullptr);

    CHECK(bytes == compress(wal));
    CHECK(bytes.size() == 51);
    CHECK(read_back(bytes)->content == wal);
    CHECK_FALSE(read_back(bytes)->trailer);
}

TEST_CASE("a snapshot of several blocks reads as it was written") {
    const Bytes pages(9 << 20, 0x33);
    Trailer trailer = trailer_for(pages);
    trailer.kind = Trailer::Kind::kSnapshot;
    trailer.start_offset = trailer.end_offset;
    trailer.page_size = 4096;
    trailer.page_count = static_cast<std::uint32_t>(pages.size() / 4096);

    const auto payload = read_back(write_payload(pages, &trailer));

    REQUIRE(payload);
    CHECK(payload->content == pages);
    CHECK(payload->trailer == trailer);
}

TEST_CASE("every reader of lz4 passes over the trailer") {
    const Bytes wal = make_wal(2, {2});
    Trailer trailer = trailer_for(wal);

    CHECK(*decompress(write_payload(wal, &trailer)) == wal);
}

TEST_CASE("a payload cut anywhere is refused, but where only its trailer is gone") {
    const Bytes wal = make_wal(1, {1});
    const std::size_t frame_size = compress(wal).size();
    Trailer trailer = trailer_for(wal);

    for_each_truncation(write_payload(wal, &trailer), [&](const Bytes& cut) {
        const auto payload = read_back(cut);
        CHECK(payload.has_value() == (cut.size() == frame_size));
        if (payload) CHECK_FALSE(payload->trailer);
    });
}

TEST_CASE("a turned bit is an error or changes nothing of the content and the trailer") {
    const Bytes wal = make_wal(1, {1});
    const std::size_t frame_size = compress(wal).size();
    Trailer trailer = trailer_for(wal);
    std::size_t flip = 0;
    for_each_flip(write_payload(wal, &trailer), [&](const Bytes& damaged) {
        const std::size_t at = flip++ / 3;
        const auto payload = read_back(damaged);
        if (at >= frame_size) CHECK_FALSE(payload);
        if (payload) CHECK(payload->content == wal);
        if (payload) CHECK(payload->trailer == trailer);
    });
}

TEST_CASE("nothing else may follow") {
    const Bytes wal = make_wal(1, {1});
    Trailer trailer = trailer_for(wal);
    const Bytes whole = write_payload(wal, &trailer);

    CHECK(error_of(whole + Bytes(1)).starts_with("trailer: "));
    CHECK(error_of(whole + whole).starts_with("trailer: "));
    CHECK(error_of(compress(wal) + compress(wal)).starts_with("trailer: "));
}

TEST_CASE("the trailer of another payload is refused") {
    const Bytes wal = make_wal(1, {1});
    const Bytes other = make_wal(2, {2});
    Trailer trailer = trailer_for(other);
    write_payload(other, &trailer);

    CHECK(error_of(compress(wal) + trailer.encode()) == "trailer: does not belong to the content");
}

TEST_CASE("a trailer whose offsets do not fit the content is refused") {
    const Bytes wal = make_wal(1, {1});
    Trailer trailer = trailer_for(wal);
    trailer.start_offset = 8;

    CHECK(error_of(write_payload(wal, &trailer)) == "trailer: content of another length");
}

TEST_CASE("an error of the sink comes back") {
    const Bytes bytes = compress(make_wal(1, {1}));
    MemorySource source(bytes);

    const auto payload = read_payload(source, [](ByteView) -> Status {
        return Error{ErrorCode::kIo, "disk full"};
    });

    REQUIRE_FALSE(payload);
    CHECK(payload.error().message == "disk full");
}
