#include "shared/format/position.h"

#include <doctest/doctest.h>

#include "tests/format/samples.h"

using namespace litestream;

TEST_CASE("a position prints as Litestream prints it, and parses back") {
    const Position position{"29cf4bced74e92ab", 0x3e8, 0x7d0};

    CHECK(position.to_string() == "29cf4bced74e92ab/00000000000003e8:00000000000007d0");
    CHECK(position.to_string().size() == kPositionTextSize);
    CHECK(*Position::parse(position.to_string()) == position);
}

TEST_CASE("no position prints as nothing") {
    CHECK(Position().empty());
    CHECK(Position().to_string().empty());
}

TEST_CASE("index and offset may have any number of digits") {
    CHECK(*Position::parse("29cf4bced74e92ab/3E8:7d0") == Position{"29cf4bced74e92ab", 0x3e8, 0x7d0});
    CHECK(*Position::parse("29cf4bced74e92ab/7fffffff:7fffffffffffffff") ==
          Position{"29cf4bced74e92ab", 0x7fffffff, 0x7fffffffffffffff});
}

TEST_CASE("positions of a generation are ordered by index, then offset") {
    const Position a{"29cf4bced74e92ab", 1, 500};
    const Position b{"29cf4bced74e92ab", 1, 600};
    const Position c{"29cf4bced74e92ab", 2, 0};

    CHECK(a.before(b));
    CHECK(b.before(c));
    CHECK_FALSE(b.before(a));
    CHECK_FALSE(a.before(a));
}

TEST_CASE("what is no position is refused with what was expected") {
    for (const char* text :
         {"", "/:", "29cf4bced74e92ab", "29cf4bced74e92ab/0", "29cf4bced74e92ab:0", "29cf4bced74e92ab:0/0",
          "29CF4BCED74E92AB/0:0", "29cf4bced74e92a/0:0", "29cf4bced74e92ab0/0:0", "29cf4bced74e92ab/:0",
          "29cf4bced74e92ab/0:", "29cf4bced74e92ab/x:0", "29cf4bced74e92ab/0:x",
          "29cf4bced74e92ab/80000000:0", "29cf4bced74e92ab/0:8000000000000000", "29cf4bced74e92ab/0:0\n",
          " 29cf4bced74e92ab/0:0", "29cf4bced74e92ab/0:0:0", "29cf4bced74e92ab/0/0:0"}) {
        const auto position = Position::parse(text);
        INFO(text);
        REQUIRE_FALSE(position);
        CHECK(position.error().code == ErrorCode::kInput);
        CHECK(position.error().message.starts_with("invalid position \"" + std::string(text) +
                                                   "\": expected GENERATION/INDEX:OFFSET, "));
    }
}

TEST_CASE("a position cut or with a turned bit is refused or is another one") {
    const Position position{"29cf4bced74e92ab", 0x3e8, 0x7d0};
    const Bytes whole = to_bytes(position.to_string());
    const auto check = [&](const Bytes& bytes) {
        const auto other = Position::parse(as_text(bytes));
        if (other) CHECK_FALSE(*other == position);
    };
    for_each_truncation(whole, check);
    for_each_flip(whole, check);
}

TEST_CASE("a generation name is 16 lower-case hex digits") {
    CHECK(is_generation_name("0123456789abcdef"));
    for (const char* text :
         {"", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "0123456789abcdeg"}) {
        CHECK_FALSE(is_generation_name(text));
    }
}
