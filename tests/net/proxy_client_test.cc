// HttpClient by way of a proxy: what it asks of it, and what it says when that refuses.
#include <doctest/doctest.h>

#include "shared/net/http_client.h"
#include "tests/net/environment.h"
#include "tests/net/net_support.h"

using namespace litestream;

namespace {

HttpGet far_request(const std::string& scheme) {
    HttpGet request = get_request(9090, "/x?y", scheme);
    request.url.host = "db.example";
    return request;
}

std::string proxy_url(const ScriptedServer& proxy) {
    return "http://user:secret@127.0.0.1:" + std::to_string(proxy.port());
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a plain request goes to the proxy with its whole URL") {
    std::string seen;
    {
        const ScriptedServer proxy([&](RawPeer& peer) {
            seen = peer.read_until("\r\n\r\n");
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        });
        const EnvironmentVariable variable("http_proxy", proxy_url(proxy));
        HttpClient client;
        REQUIRE(client.get(far_request("http")));
        CHECK(read_body(client) == "ok");
    }

    CHECK(seen.find("GET http://db.example:9090/x?y HTTP/1.1\r\nHost: db.example:9090\r\n") == 0);
    CHECK(has(seen, "\r\nProxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n"));
}

TEST_CASE("a proxy that refuses the way is named, its password is not") {
    std::string seen;
    Error error;
    {
        const ScriptedServer proxy([&](RawPeer& peer) {
            seen = peer.read_until("\r\n\r\n");
            peer.send("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
        });
        const EnvironmentVariable variable("https_proxy", proxy_url(proxy));
        HttpClient client;
        const Status got = client.get(far_request("https"));
        REQUIRE_FALSE(got);
        error = got.error();
    }

    CHECK(seen.find("CONNECT db.example:9090 HTTP/1.1\r\nHost: db.example:9090\r\n") == 0);
    CHECK(error.code == ErrorCode::kIo);
    CHECK(error.message.find("cannot connect to https://db.example:9090 through the proxy 127.0.0.1:") == 0);
    CHECK(has(error.message, "the proxy answers with status 407"));
    CHECK_FALSE(has(error.message, "secret"));
}

TEST_CASE("a proxy that cannot be used is an input error") {
    const EnvironmentVariable variable("http_proxy", "socks5://user:secret@127.0.0.1:1");
    HttpClient client;

    const Status got = client.get(far_request("http"));

    REQUIRE_FALSE(got);
    CHECK(got.error().code == ErrorCode::kInput);
    CHECK(has(got.error().message, "http_proxy"));
    CHECK_FALSE(has(got.error().message, "secret"));
}
