#include "shared/format/lz4.h"

#include <doctest/doctest.h>
#include <lz4frame.h>

#include <random>

#include "tests/format/samples.h"

using namespace litestream;

namespace {

// A frame as another writer with other settings would make it.
Bytes foreign_frame(ByteView content, LZ4F_preferences_t preferences) {
    Bytes out(LZ4F_compressFrameBound(content.size(), &preferences));
    const std::size_t size =
        LZ4F_compressFrame(out.data(), out.size(), content.data(), content.size(), &preferences);
    REQUIRE_FALSE(LZ4F_isError(size));
    out.resize(size);
    return out;
}

LZ4F_preferences_t with_checksum() {
    LZ4F_preferences_t preferences = {};
    preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    return preferences;
}

Bytes sample_text() {
    std::string text;
    for (int i = 0; i < 60; i++) text += "line " + std::to_string(i * 7919) + "\n";
    return to_bytes(text);
}

Bytes noise(std::size_t size) {
    std::mt19937 random(7);
    Bytes bytes(size);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    return bytes;
}

Bytes skippable(std::uint32_t claimed, std::size_t actual) {
    Bytes bytes(8 + actual, 0xEE);
    store_le32(bytes.data(), 0x184D2A50);
    store_le32(bytes.data() + 4, claimed);
    return bytes;
}

Bytes operator+(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

std::string error_of(const Bytes& frame) {
    const auto content = decompress(frame);
    REQUIRE_FALSE(content);
    CHECK(content.error().code == ErrorCode::kCorrupt);
    return content.error().message;
}

}  // namespace

TEST_CASE("what was compressed decompresses, in pieces of any size") {
    for (const Bytes& content : {Bytes(), Bytes(1, 'x'), sample_text(), noise(70000), Bytes(100000)}) {
        const Bytes frame = compress(content);
        CHECK(as_text(frame).starts_with("\x04\x22\x4d\x18\x64\x70\xb9"));
        for (const std::size_t piece : {1, 7, 4096, 1 << 20}) {
            if (piece == 1 && content.size() > 10000) continue;
            CHECK(*decompress(frame, piece) == content);
        }
    }
}

TEST_CASE("nothing compresses to an empty frame") {
    CHECK(compress({}) == from_hex("04224d186470b9 00000000 055dcc02"));
}

TEST_CASE("a WAL header compresses to the 51 bytes of Litestream") {
    const Bytes header = from_hex("377f0682002de218000010000000000019106cabbd3d631e8053132c569e288e");
    const Bytes frame = from_hex(
        "04224d186470b9 20000080 377f0682002de218000010000000000019106cabbd3d631e8053132c569e288e 00000000 "
        "a3cc7416");

    CHECK(frame.size() == 51);
    CHECK(compress(header) == frame);
    CHECK(*decompress(frame) == header);
}

TEST_CASE("how the bytes are handed in does not change the frame") {
    const Bytes content = sample_text();
    Bytes out;
    Lz4Writer writer(append_to(out));
    for (std::size_t at = 0; at < content.size(); at += 100) {
        REQUIRE(writer.write(ByteView(content).subspan(at, std::min<std::size_t>(100, content.size() - at))));
    }
    REQUIRE(writer.finish());

    CHECK(out == compress(content));
}

TEST_CASE("blocks are cut at 4 MiB") {
    const std::size_t block = 4u << 20;
    for (const std::size_t size : {block - 1, block, block + 1, 2 * block + 3}) {
        const Bytes content(size, 'a');
        Bytes out;
        Lz4Writer writer(append_to(out));
        REQUIRE(writer.write(ByteView(content).first(1000)));
        REQUIRE(writer.write(ByteView(content).subspan(1000)));
        REQUIRE(writer.finish());

        CHECK(out == compress(content));
        CHECK(*decompress(out, 1 << 20) == content);
    }
}

TEST_CASE("a small payload reaches the sink in one piece") {
    int calls = 0;
    Lz4Writer writer([&](ByteView) {
        calls++;
        return Status();
    });

    REQUIRE(writer.write(as_bytes("hello")));
    REQUIRE(writer.finish());

    CHECK(calls == 1);
}

TEST_CASE("an error of the sink comes back") {
    Lz4Writer writer([](ByteView) -> Status { return Error{ErrorCode::kIo, "disk full"}; });

    CHECK(writer.write(as_bytes("hello")));
    CHECK(writer.finish().error().message == "disk full");
}

TEST_CASE("a frame cut anywhere is an error that says where") {
    for (const Bytes& content : {Bytes(), sample_text()}) {
        for_each_truncation(compress(content), [](const Bytes& cut) {
            CHECK(error_of(cut) == "lz4: ends early at byte " + std::to_string(cut.size()));
        });
    }
}

TEST_CASE("a turned bit is an error or changes nothing of the content") {
    const Bytes content = sample_text();
    for_each_flip(compress(content), [&](const Bytes& damaged) {
        const auto back = decompress(damaged);
        if (back) CHECK(*back == content);
    });
}

TEST_CASE("a turned bit in stored bytes is an error") {
    for_each_flip(compress(noise(200)), [](const Bytes& damaged) { CHECK_FALSE(decompress(damaged)); });
}

TEST_CASE("frames of other writers are read: any block size, linked blocks, block checksums, content size") {
    const Bytes content = sample_text() + noise(100000) + sample_text();
    for (const LZ4F_blockSizeID_t size : {LZ4F_max64KB, LZ4F_max256KB, LZ4F_max1MB, LZ4F_max4MB}) {
        for (const LZ4F_blockMode_t mode : {LZ4F_blockLinked, LZ4F_blockIndependent}) {
            LZ4F_preferences_t preferences = with_checksum();
            preferences.frameInfo.blockSizeID = size;
            preferences.frameInfo.blockMode = mode;
            preferences.frameInfo.blockChecksumFlag = LZ4F_blockChecksumEnabled;
            preferences.frameInfo.contentSize = content.size();
            CHECK(*decompress(foreign_frame(content, preferences)) == content);
        }
    }
}

TEST_CASE("a frame without a content checksum proves nothing and is refused") {
    CHECK(error_of(foreign_frame(sample_text(), {})) == "lz4: has no content checksum");
}

TEST_CASE("an extra raw block of no length is read over") {
    CHECK(decompress(from_hex("04224d186470b9 00000080 00000000 055dcc02"))->empty());
    CHECK(as_text(*decompress(from_hex("04224d186470b9 01000080 61 00000080 00000000 56740d55"))) == "a");
}

TEST_CASE("only lz4 frames are read, not legacy ones, not other files") {
    CHECK(error_of(from_hex("02214c18 00000000 00000000")) == "lz4: wrong magic number");
    CHECK(error_of(to_bytes("SQLite format 3")) == "lz4: wrong magic number");
    CHECK(error_of(Bytes(100)) == "lz4: wrong magic number");
}

TEST_CASE("skippable frames in front are passed over") {
    const Bytes frame = compress(sample_text());

    CHECK(*decompress(skippable(0, 0) + frame) == sample_text());
    CHECK(*decompress(skippable(5, 5) + skippable(200000, 200000) + frame) == sample_text());
    CHECK(error_of(skippable(5, 3)) == "lz4: ends early at byte 11");
    CHECK(error_of(skippable(5, 5)) == "lz4: ends early at byte 13");
    CHECK(error_of(skippable(0xFFFFFFFF, 5)) == "lz4: too many skippable bytes in front");
}

TEST_CASE("what a frame claims to hold must be there") {
    LZ4F_preferences_t preferences = with_checksum();
    preferences.frameInfo.contentSize = 4;
    Bytes frame = foreign_frame(as_bytes("four"), preferences);

    CHECK(as_text(*decompress(frame)) == "four");
    for_each_flip(frame, [](const Bytes& damaged) { CHECK_FALSE(decompress(damaged)); });
}

TEST_CASE("what follows the frame is read up to a limit and one byte more") {
    const Bytes file = compress(sample_text()) + noise(100000);
    for (const std::size_t limit : {0, 10, 99999, 100000, 200000}) {
        MemorySource source(file);
        Lz4Reader reader(source);
        Bytes buffer(1 << 20);
        while (*reader.read(buffer) > 0) continue;

        const auto rest = reader.read_rest(limit);

        REQUIRE(rest);
        CHECK(rest->size() == std::min<std::size_t>(limit + 1, 100000));
        CHECK(std::equal(rest->begin(), rest->end(), noise(100000).begin()));
    }
}

TEST_CASE("an error of the source comes back") {
    class BrokenSource final : public Source {
      public:
        Result<std::size_t> read(ByteSpan) override { return Error{ErrorCode::kIo, "disk gone"}; }
    } source;
    Lz4Reader reader(source);
    std::uint8_t buffer[10];

    CHECK(reader.read(buffer).error().message == "disk gone");
}
