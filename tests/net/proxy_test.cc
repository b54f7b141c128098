#include "shared/net/proxy.h"

#include <doctest/doctest.h>

#include <map>

using namespace litestream;

namespace {

using Variables = std::map<std::string, std::string>;

Environment environment_of(const Variables& variables) {
    return [variables](const char* name) -> const char* {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
    };
}

// "HOST:PORT" of the proxy, "" without one, "error: ..." where it cannot be taken.
std::string proxy(const char* scheme, const char* host, const Variables& variables) {
    Url url;
    url.scheme = scheme;
    url.host = host;
    url.port = "9090";
    const auto result = proxy_for(url, environment_of(variables));
    if (!result) return "error: " + result.error().message;
    return *result ? (*result)->to_string() : "";
}

}  // namespace

TEST_CASE("the environment names the proxy of each scheme") {
    CHECK(proxy("http", "db", {}) == "");
    CHECK(proxy("http", "db", {{"http_proxy", "http://p:3128/"}}) == "p:3128");
    CHECK(proxy("http", "db", {{"http_proxy", "p:3128"}}) == "p:3128");
    CHECK(proxy("http", "db", {{"http_proxy", "p"}}) == "p:1080");
    CHECK(proxy("http", "db", {{"http_proxy", "[::1]:8"}}) == "[::1]:8");
    CHECK(proxy("http", "db", {{"http_proxy", "[::1]"}}) == "[::1]:1080");
    CHECK(proxy("http", "db", {{"http_proxy", ""}, {"all_proxy", "q:1"}}) == "q:1");
    CHECK(proxy("http", "db", {{"HTTP_PROXY", "p:3128"}}) == "");
    CHECK(proxy("http", "db", {{"https_proxy", "p:3128"}}) == "");
    CHECK(proxy("https", "db", {{"https_proxy", "p:3128"}, {"all_proxy", "q:1"}}) == "p:3128");
    CHECK(proxy("https", "db", {{"HTTPS_PROXY", "p:3128"}}) == "p:3128");
    CHECK(proxy("https", "db", {{"ALL_PROXY", "q:1"}}) == "q:1");
}

TEST_CASE("no_proxy takes hosts out") {
    const auto is_direct = [](const char* host, const char* exceptions) {
        return proxy("http", host, {{"http_proxy", "p:1"}, {"no_proxy", exceptions}}).empty();
    };

    CHECK(is_direct("db.example.com", "*"));
    CHECK(is_direct("db.example.com", "example.com"));
    CHECK(is_direct("DB.Example.com", "other, .EXAMPLE.com"));
    CHECK(is_direct("example.com", ".example.com"));
    CHECK(is_direct("db.example.com", "example.com:9090"));
    CHECK(is_direct("10.0.0.1", "10.0.0.1"));
    CHECK(is_direct("[fd00::1]", "fd00::1"));
    CHECK_FALSE(is_direct("db.example.com", "example.com:80"));
    CHECK_FALSE(is_direct("badexample.com", "example.com"));
    CHECK_FALSE(is_direct("example.com.evil", "example.com"));
    CHECK_FALSE(is_direct("example.com", ",, ,"));
}

TEST_CASE("loopback and link-local are never reached through a proxy") {
    for (const char* host : {"localhost", "127.0.0.1", "[::1]", "169.254.169.254", "[fd00:ec2::254]"}) {
        CHECK(proxy("http", host, {{"all_proxy", "p:1"}}) == "");
    }
}

TEST_CASE("user information becomes a header and is in no message") {
    Url url;
    url.scheme = "http";
    url.host = "db";
    const auto found = proxy_for(url, environment_of({{"http_proxy", "http://user:p%40ss@p:1"}}));
    REQUIRE((found && *found));

    CHECK((*found)->authorization == "Basic dXNlcjpwQHNz");
    CHECK((*found)->to_string() == "p:1");
    for (const char* bad : {"socks5://user:secret@p:1", "http://user:secret@p:x", "http://user:secret@"}) {
        const std::string message = proxy("http", "db", {{"http_proxy", bad}});
        CHECK(message.find("http_proxy") != std::string::npos);
        CHECK(message.find("secret") == std::string::npos);
    }
}
