#include "shared/base/text.h"

#include <doctest/doctest.h>

using namespace litestream;

TEST_CASE("bytes print as lower-case hex") {
    CHECK(to_hex({}).empty());
    CHECK(to_hex(as_bytes(std::string_view("\x00\x0f\xa9\xff", 4))) == "000fa9ff");
    CHECK(to_hex16(0) == "0000000000000000");
    CHECK(to_hex16(0x1038) == "0000000000001038");
    CHECK(to_hex16(~0ull) == "ffffffffffffffff");
}

TEST_CASE("lower-case hex is told from other text") {
    CHECK(is_lower_hex(""));
    CHECK(is_lower_hex("0123456789abcdef"));
    CHECK_FALSE(is_lower_hex("A"));
    CHECK_FALSE(is_lower_hex("g"));
    CHECK_FALSE(is_lower_hex("0x1"));
}

TEST_CASE("hex of any number of digits and either case parses") {
    CHECK(*parse_hex("0", "index") == 0);
    CHECK(*parse_hex("1038", "index") == 0x1038);
    CHECK(*parse_hex("aBcD", "index") == 0xabcd);
    CHECK(*parse_hex("00000000000000000000000010", "index") == 16);
    CHECK(*parse_hex("7fffffffffffffff", "index") == 0x7fffffffffffffff);
}

TEST_CASE("hex that is none, or too large, is refused in Litestream's words") {
    CHECK(parse_hex("", "index").error().message == "cannot parse index: \"\"");
    CHECK(parse_hex("xyz", "offset").error().message == "cannot parse offset: \"xyz\"");
    CHECK(parse_hex("0x1", "offset").error().message == "cannot parse offset: \"0x1\"");
    CHECK(parse_hex("-1", "offset").error().message == "cannot parse offset: \"-1\"");
    CHECK(parse_hex("8000000000000000", "index").error().message == "index too large: \"8000000000000000\"");
    CHECK(parse_hex("10000000000000000", "index").error().message ==
          "index too large: \"10000000000000000\"");
}

TEST_CASE("a duration has a unit or is a number of seconds") {
    CHECK(*parse_duration_ms("500ms") == 500);
    CHECK(*parse_duration_ms("1s") == 1000);
    CHECK(*parse_duration_ms("1.5s") == 1500);
    CHECK(*parse_duration_ms("0.0019s") == 1);
    CHECK(*parse_duration_ms("10m") == 600000);
    CHECK(*parse_duration_ms("24h") == 86400000);
    CHECK(*parse_duration_ms("30") == 30000);
    CHECK(*parse_duration_ms("0.25") == 250);
    CHECK(*parse_duration_ms("0") == 0);
    CHECK(*parse_duration_ms("87600h") == 315360000000);
    CHECK(*parse_duration_ms("1.123456789123456789s") == 1123);
}

TEST_CASE("other text is no duration, and the message says what is") {
    for (const char* text : {"", "s", "-1s", "+1s", "1d", "1 s", "1.s", ".5s", "1h30m", "1e3", "87600.1h",
                             "0x10", "99999999999999999999999999s", "315360001"}) {
        const auto duration = parse_duration_ms(text);
        INFO(text);
        REQUIRE_FALSE(duration);
        CHECK(duration.error().code == ErrorCode::kInput);
        CHECK(duration.error().message.find("expected \"500ms\"") != std::string::npos);
    }
}

TEST_CASE("a duration prints in the largest unit that is exact, and parses back") {
    CHECK(format_duration(0) == "0s");
    CHECK(format_duration(500) == "500ms");
    CHECK(format_duration(90000) == "90s");
    CHECK(format_duration(600000) == "10m");
    CHECK(format_duration(86400000) == "24h");
    for (const std::int64_t duration_ms : {0, 1, 999, 1000, 61000, 3600000, 3600001}) {
        CHECK(*parse_duration_ms(format_duration(duration_ms)) == duration_ms);
    }
}

TEST_CASE("letters of ASCII become lower case, nothing else") {
    CHECK(to_lower("AZaz09-_[]@\xc3\x84") == "azaz09-_[]@\xc3\x84");
    CHECK(to_lower("").empty());
}

TEST_CASE("blanks and line ends go on either side, not in between") {
    CHECK(trimmed(" \t a b\r\n") == "a b");
    CHECK(trimmed(" \r\n").empty());
    CHECK(trimmed("").empty());
}
