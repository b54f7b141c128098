#include "shared/base/bytes.h"

#include <doctest/doctest.h>

#include "shared/base/stream.h"

using namespace litestream;

TEST_CASE("integers are stored in the byte order that their name says") {
    std::uint8_t out[8];

    store_be32(out, 0x01020304);
    CHECK(as_text({out, 4}) == "\x01\x02\x03\x04");
    store_le32(out, 0x01020304);
    CHECK(as_text({out, 4}) == "\x04\x03\x02\x01");
    store_be64(out, 0x0102030405060708);
    CHECK(as_text(out) == "\x01\x02\x03\x04\x05\x06\x07\x08");
}

TEST_CASE("loading gives what was stored, the high bits too") {
    std::uint8_t out[8];

    for (const std::uint64_t value : {0ull, 1ull, 0x80ull, 0xFFFFFFFFull, 0x8000000000000000ull, ~0ull}) {
        store_be64(out, value);
        CHECK(load_be64(out) == value);
        store_be32(out, static_cast<std::uint32_t>(value));
        CHECK(load_be32(out) == static_cast<std::uint32_t>(value));
        CHECK(load_be16(out + 2) == static_cast<std::uint16_t>(value));
        store_le32(out, static_cast<std::uint32_t>(value));
        CHECK(load_le32(out) == static_cast<std::uint32_t>(value));
    }
}

TEST_CASE("a memory source gives its bytes once, front to back") {
    MemorySource source(as_bytes("hello"));
    std::uint8_t buffer[3];

    CHECK(*source.read(buffer) == 3);
    CHECK(as_text(buffer) == "hel");
    CHECK(*source.read(buffer) == 2);
    CHECK(*source.read(buffer) == 0);
}

TEST_CASE("a sink that appends keeps what came before") {
    Bytes out;
    const Sink sink = append_to(out);

    CHECK(sink(as_bytes("ab")));
    CHECK(sink(as_bytes("")));
    CHECK(sink(as_bytes("c")));

    CHECK(as_text(out) == "abc");
}
