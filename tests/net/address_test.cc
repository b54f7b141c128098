#include "shared/net/address.h"

#include <doctest/doctest.h>

#include "shared/net/http_server.h"

using namespace litestream;

TEST_CASE("an address is a host and a port") {
    const auto named = parse_host_port("db.example.com:9090");
    const auto v6 = parse_host_port("[::1]:0");
    const auto all = parse_host_port(":65535");

    REQUIRE((named && v6 && all));
    CHECK((named->host == "db.example.com" && named->port == "9090"));
    CHECK((v6->host == "::1" && v6->port == "0"));
    CHECK((all->host.empty() && all->port == "65535"));
}

TEST_CASE("an address that makes no sense is refused with its text") {
    for (const char* text :
         {"", "9090", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "::1:80", "[::1]",
          "[::1:80", "[a]:80", "a b:80", "http://a:80", "u@h:80", "h:-1", "h:123456"}) {
        const auto parts = parse_host_port(text);
        REQUIRE_MESSAGE(!parts, text);
        CHECK(parts.error().code == ErrorCode::kInput);
        CHECK(parts.error().message.find("invalid address") == 0);
    }
}

TEST_CASE("loopback is told apart from the rest") {
    const auto is_loopback = [](const char* text) {
        const auto result = is_loopback_address(text);
        REQUIRE(result);
        return *result;
    };

    CHECK(is_loopback("127.0.0.1:80"));
    CHECK(is_loopback("127.9.9.9:80"));
    CHECK(is_loopback("[::1]:80"));
    CHECK(is_loopback("localhost:80"));
    CHECK_FALSE(is_loopback("0.0.0.0:80"));
    CHECK_FALSE(is_loopback(":80"));
    CHECK_FALSE(is_loopback("10.0.0.1:80"));
    CHECK(is_loopback_host("LocalHost"));
    CHECK(is_loopback_host("[::1]"));
    CHECK_FALSE(is_loopback_host("example.com"));
    CHECK_FALSE(is_loopback_host("127.0.0.1.example.com"));
}

TEST_CASE("an endpoint is written as users write it") {
    const auto v4 = look_up("127.0.0.1", "80", Lookup::kNumericOnly);
    const auto v6 = look_up("[::1]", "80", Lookup::kNumericOnly);
    const auto mapped = look_up("::ffff:10.1.2.3", "80", Lookup::kNumericOnly);

    REQUIRE((v4 && v6 && mapped));
    CHECK(v4->front().to_string() == "127.0.0.1:80");
    CHECK(v6->front().to_string() == "[::1]:80");
    CHECK(mapped->front().to_string() == "10.1.2.3:80");
}
