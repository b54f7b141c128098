#include "shared/base/clock.h"

#include <doctest/doctest.h>

#include <limits>

using namespace litestream;

TEST_CASE("a time prints with milliseconds and Z") {
    CHECK(format_time(0) == "1970-01-01T00:00:00.000Z");
    CHECK(format_time(1) == "1970-01-01T00:00:00.001Z");
    CHECK(format_time(-1) == "1969-12-31T23:59:59.999Z");
    CHECK(format_time(951782400123) == "2000-02-29T00:00:00.123Z");
    CHECK(format_time(4102444800000) == "2100-01-01T00:00:00.000Z");
}

TEST_CASE("a time that no calendar of four digits holds prints as the nearest that it does") {
    CHECK(format_time(std::numeric_limits<std::int64_t>::max()) == "9999-12-31T23:59:59.999Z");
    CHECK(format_time(std::numeric_limits<std::int64_t>::min()) == "0000-01-01T00:00:00.000Z");
}

TEST_CASE("parsing a time gives back what was printed") {
    for (const std::int64_t time_ms : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1795424400250},
                                       std::int64_t{-62167219200000}, std::int64_t{253402300799999}}) {
        CHECK(*parse_time(format_time(time_ms)) == time_ms);
    }
}

TEST_CASE("a time may leave out the fraction or give up to nine digits, cut to milliseconds") {
    CHECK(*parse_time("1970-01-01T00:00:01Z") == 1000);
    CHECK(*parse_time("1970-01-01T00:00:01.5Z") == 1500);
    CHECK(*parse_time("1970-01-01T00:00:01.1239Z") == 1123);
    CHECK(*parse_time("1970-01-01T00:00:01.123456789Z") == 1123);
    CHECK(*parse_time("1970-01-01t00:00:01z") == 1000);
    CHECK(*parse_time("1970-01-01 00:00:01Z") == 1000);
}

TEST_CASE("a numeric offset is taken off") {
    CHECK(*parse_time("1970-01-01T02:00:00+02:00") == 0);
    CHECK(*parse_time("1969-12-31T19:30:00-04:30") == 0);
}

TEST_CASE("anything else is no time, and the message says what is") {
    for (const char* text : {"",
                             "now",
                             "2026",
                             "2026-11-23",
                             "2026-11-23T09:00:00",
                             "2026-11-23T09:00Z",
                             "2026-13-01T00:00:00Z",
                             "2026-02-29T00:00:00Z",
                             "2026-11-31T00:00:00Z",
                             "2026-11-23T24:00:00Z",
                             "2026-11-23T09:60:00Z",
                             "2026-11-23T09:00:61Z",
                             "2026-11-23T09:00:00.Z",
                             "2026-11-23T09:00:00.1234567890Z",
                             "2026-11-23T09:00:00+0100",
                             "2026-11-23T09:00:00+24:00",
                             "2026-11-23T09:00:00Zx",
                             "-026-11-23T09:00:00Z",
                             "2026-00-01T00:00:00Z",
                             "2026-01-00T00:00:00Z",
                             " 2026-11-23T09:00:00Z"}) {
        const auto time = parse_time(text);
        INFO(text);
        REQUIRE_FALSE(time);
        CHECK(time.error().code == ErrorCode::kInput);
        CHECK(time.error().message.find("expected YYYY-MM-DDTHH:MM:SS") != std::string::npos);
    }
}

TEST_CASE("the clocks run") {
    CHECK(wall_clock_ms() > 1700000000000);
    const std::int64_t before_ms = steady_clock_ms();
    CHECK(steady_clock_ms() >= before_ms);
}
