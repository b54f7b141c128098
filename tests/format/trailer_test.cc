#include "shared/format/trailer.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "shared/base/crc32.h"
#include "shared/base/directory.h"
#include "tests/format/samples.h"

using namespace litestream;

namespace {

Trailer sample_segment() {
    Trailer trailer;
    trailer.generation = "29cf4bced74e92ab";
    trailer.predecessor = "fedcba9876543210";
    trailer.index = 3;
    trailer.start_offset = 0x1038;
    trailer.end_offset = 0x4080;
    trailer.previous_end = 0x5098;
    trailer.previous_checksum = {1, 2};
    trailer.end_checksum = {3, 4};
    trailer.source_checksum = {5, 0xFFFFFFFF};
    trailer.salts = {1, 2, 3, 4, 5, 6, 7, 8};
    trailer.page_size = 4096;
    trailer.page_count = 12;
    trailer.content_crc = 0xCBF43926;
    trailer.commits = {{0x2050, 1795424400250}, {0x3068, 1795424400250}, {0x4080, 1795424400251}};
    return trailer;
}

Trailer sample_snapshot() {
    Trailer trailer = sample_segment();
    trailer.kind = Trailer::Kind::kSnapshot;
    trailer.predecessor.clear();
    trailer.start_offset = trailer.end_offset;
    trailer.commits = {{trailer.end_offset, 5}};
    return trailer;
}

// Puts a value into an encoded trailer and makes its CRC right again.
std::string error_after(Bytes bytes, std::size_t at, std::uint32_t value) {
    store_be32(bytes.data() + at, value);
    store_be32(bytes.data() + bytes.size() - 8, crc32(0, ByteView(bytes).subspan(8, bytes.size() - 16)));
    const auto trailer = Trailer::decode(bytes);
    return trailer ? "" : trailer.error().message;
}

// A file with these bytes, without a name.
File file_of(const Bytes& bytes) {
    auto file = open_nameless_file(std::filesystem::temp_directory_path());
    REQUIRE(file);
    REQUIRE(file->write(bytes));
    return *std::move(file);
}

Bytes operator+(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

}  // namespace

TEST_CASE("a trailer reads as it was written") {
    CHECK(*Trailer::decode(sample_segment().encode()) == sample_segment());
    CHECK(*Trailer::decode(sample_snapshot().encode()) == sample_snapshot());
}

TEST_CASE("a trailer lies in the bytes as its map says") {
    const Bytes bytes = sample_segment().encode();

    CHECK(as_text(bytes).starts_with("\x5E\x2A\x4D\x18"));
    CHECK(load_le32(bytes.data() + 4) == bytes.size() - 8);
    CHECK(as_text(bytes).substr(8, 8) == std::string_view("LSTR\x01\x01\0\0", 8));
    CHECK(load_be64(bytes.data() + 16) == 0x29cf4bced74e92ab);
    CHECK(load_be64(bytes.data() + 24) == 0xfedcba9876543210);
    CHECK(load_be64(bytes.data() + 32) == 3);
    CHECK(load_be64(bytes.data() + 40) == 0x1038);
    CHECK(load_be64(bytes.data() + 48) == 0x4080);
    CHECK(load_be64(bytes.data() + 56) == 0x5098);
    CHECK(load_be64(bytes.data() + 64) == 0x0000000100000002);
    CHECK(load_be64(bytes.data() + 72) == 0x0000000300000004);
    CHECK(load_be64(bytes.data() + 80) == 0x00000005FFFFFFFF);
    CHECK(load_be64(bytes.data() + 88) == 0x0102030405060708);
    CHECK(load_be32(bytes.data() + 96) == 4096);
    CHECK(load_be32(bytes.data() + 100) == 12);
    CHECK(load_be32(bytes.data() + 104) == 0xCBF43926);
    CHECK(load_be32(bytes.data() + 108) == 3);
    CHECK(load_be32(bytes.data() + bytes.size() - 4) == bytes.size());
}

TEST_CASE("a trailer with many commits of any size reads as it was written") {
    Trailer trailer = sample_segment();
    trailer.start_offset = 0;
    trailer.commits.clear();
    std::uint64_t end_offset = 0;
    for (int bits = 0; bits < 62; bits++) {
        end_offset += 1ull << bits;
        trailer.commits.push_back({end_offset, static_cast<std::int64_t>(end_offset)});
    }
    trailer.end_offset = end_offset;

    CHECK(*Trailer::decode(trailer.encode()) == trailer);
}

TEST_CASE("a clock that was set back does not make an unreadable trailer") {
    Trailer trailer = sample_segment();
    trailer.commits[0].time_ms = -5;
    trailer.commits[1].time_ms = 2000;
    trailer.commits[2].time_ms = 1000;

    const auto back = Trailer::decode(trailer.encode());

    REQUIRE(back);
    CHECK(back->commits[0].time_ms == 0);
    CHECK(back->commits[2].time_ms == 2000);
}

TEST_CASE("a trailer cut, longer, or with a turned bit is refused") {
    for (const Bytes& whole : {sample_segment().encode(), sample_snapshot().encode()}) {
        for_each_truncation(whole, [](const Bytes& cut) { CHECK_FALSE(Trailer::decode(cut)); });
        for_each_flip(whole, [](const Bytes& damaged) { CHECK_FALSE(Trailer::decode(damaged)); });
        CHECK_FALSE(Trailer::decode(whole + Bytes(1)));
    }
}

TEST_CASE("every rule is checked although the CRC is right") {
    const Bytes segment = sample_segment().encode();
    const Bytes snapshot = sample_snapshot().encode();

    CHECK(error_after(segment, 8, 0x4C535453) == "trailer: unknown version");
    CHECK(error_after(segment, 12, 0x02010000) == "trailer: unknown version");
    CHECK(error_after(segment, 12, 0x01030000) == "trailer: unknown kind");
    CHECK(error_after(segment, 12, 0x01010001) == "trailer: unknown version");
    CHECK(error_after(segment, 12, 0x01020000) == "trailer: snapshot with two offsets");
    CHECK(error_after(segment, 32, 1) == "trailer: index too large");
    CHECK(error_after(segment, 36, 0x80000000) == "trailer: index too large");
    CHECK(error_after(segment, 48, 0x80000000) == "trailer: offset too large");
    CHECK(error_after(segment, 56, 0x80000000) == "trailer: offset too large");
    CHECK(error_after(segment, 44, 0x4080) == "trailer: end offset not behind start offset");
    CHECK(error_after(segment, 52, 0x4081) == "trailer: commits end before the end offset");
    CHECK(error_after(segment, 52, 0x407F) == "trailer: commit past the end offset");
    CHECK(error_after(segment, 96, 4095) == "trailer: invalid page size");
    CHECK(error_after(segment, 108, 0) == "trailer: no commits");
    CHECK(error_after(segment, 108, 2) == "trailer: commits end before the end offset");
    CHECK(error_after(segment, 108, 4) == "trailer: malformed commit");
    CHECK(error_after(segment, 108, 0xFFFFFFFF) == "trailer: more commits than bytes");
    CHECK(error_after(segment, 112, 0x80000000) == "trailer: malformed commit");
    CHECK(error_after(segment, 112, 0xFFFFFFFF) == "trailer: commit past the end offset");
    CHECK(error_after(segment, 112, 0x00010101) == "trailer: commit of no length");
    CHECK(error_after(snapshot, 108, 2) == "trailer: snapshot without its one commit");
    CHECK(error_after(snapshot, 12, 0x01010000) == "trailer: end offset not behind start offset");
}

TEST_CASE("the trailer at the end of a file is found") {
    const Bytes trailer = sample_segment().encode();

    CHECK(**read_trailer(file_of(compress(as_bytes("content")) + trailer)) == sample_segment());
    CHECK(**read_trailer(file_of(trailer)) == sample_segment());
}

TEST_CASE("a file without a whole trailer at its end has none") {
    const Bytes trailer = sample_segment().encode();

    CHECK_FALSE(read_trailer(file_of({}))->has_value());
    CHECK_FALSE(read_trailer(file_of(compress(as_bytes("content"))))->has_value());
    CHECK_FALSE(read_trailer(file_of(Bytes(1000)))->has_value());
    CHECK_FALSE(read_trailer(file_of(trailer + Bytes(1)))->has_value());
    for_each_truncation(trailer,
                        [](const Bytes& cut) { CHECK_FALSE(read_trailer(file_of(cut))->has_value()); });
    for_each_flip(trailer,
                  [](const Bytes& damaged) { CHECK_FALSE(read_trailer(file_of(damaged))->has_value()); });
}

TEST_CASE("a size at the end of a file that is larger than the file is not believed") {
    Bytes bytes(200);
    for (const std::uint32_t size : {0u, 119u, 201u, 0x02000000u, 0xFFFFFFFFu}) {
        store_be32(bytes.data() + 196, size);
        CHECK_FALSE(read_trailer(file_of(bytes))->has_value());
    }
}
