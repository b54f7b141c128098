#include "shared/net/http_parser.h"

#include <doctest/doctest.h>

#include "shared/net/http_client.h"

using namespace litestream;

namespace {

ParsedRequest parse(const std::string& text) {
    const auto parsed = parse_request(as_bytes(text));
    REQUIRE(parsed);
    return *parsed;
}

unsigned refusal(const std::string& text) { return parse(text).refusal; }

}  // namespace

TEST_CASE("a request is taken apart") {
    const std::string text =
        "GET /a%20b?path=%2Fd%2Fx+y.db&empty=&flag HTTP/1.1\r\nHost: h:1\r\nX-Thing: v\r\n\r\n";

    const ParsedRequest parsed = parse(text + "rest");

    CHECK(parsed.refusal == 0);
    CHECK(parsed.size_bytes == text.size());
    CHECK(parsed.wants_keep_alive);
    CHECK(parsed.request.method == "GET");
    CHECK(parsed.request.path == "/a b");
    CHECK(parsed.request.query_value("path") == "/d/x y.db");
    CHECK(parsed.request.query.size() == 3);
    CHECK(parsed.request.query_value("nothing").empty());
    CHECK(parsed.request.header("x-thing") == "v");
    CHECK(parsed.request.header("host") == "h:1");
}

TEST_CASE("a request that is not whole yet is waited for, at every byte") {
    const std::string text = "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n";

    for (std::size_t size = 0; size < text.size(); size++) {
        CHECK_FALSE(parse_request(as_bytes(text.substr(0, size))));
    }
    CHECK(parse(text).refusal == 0);
}

TEST_CASE("what is no request, or none that is served, is refused with its status") {
    CHECK(refusal("\x16\x03\x01\x02") == 400);
    CHECK(refusal("hello") == 400);
    CHECK(refusal("GARBAGE\r\n\r\n") == 400);
    CHECK(refusal("GET / HTTP/1.1\r\n\r\n") == 400);
    CHECK(refusal("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n") == 400);
    CHECK(refusal("GET /% HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    CHECK(refusal("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    CHECK(refusal("GET /?a=%zz HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    CHECK(refusal("GET * HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    CHECK(refusal("GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n") == 400);
    CHECK(refusal("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx") == 413);
    CHECK(refusal("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n") == 413);
    CHECK(refusal("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(8192, 'x')) == 431);
}

TEST_CASE("an upgrade counts only where it is asked for properly") {
    const std::string upgrade = "Upgrade: liblitestream/1\r\n";
    const auto asked = [&](const std::string& version, const std::string& connection) {
        const std::string host = "Host: h\r\n";
        return parse("GET / HTTP/" + version + "\r\n" + host + connection + upgrade + "\r\n")
            .request.header("upgrade");
    };

    CHECK(asked("1.1", "Connection: keep-alive, Upgrade\r\n") == "liblitestream/1");
    CHECK(asked("1.1", "").empty());
    CHECK(asked("1.0", "Connection: Upgrade\r\n").empty());
}

TEST_CASE("HTTP/1.0 closes unless it says otherwise") {
    CHECK(parse("GET / HTTP/1.0\r\n\r\n").is_http_1_0);
    CHECK_FALSE(parse("GET / HTTP/1.0\r\n\r\n").wants_keep_alive);
    CHECK(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").wants_keep_alive);
    CHECK_FALSE(parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").wants_keep_alive);
}

TEST_CASE("the absolute form of a target is the same request") {
    CHECK(parse("GET http://h:1/x?a=b HTTP/1.1\r\nHost: h:1\r\n\r\n").request.path == "/x");
    CHECK(parse("GET http://h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n").request.path == "/");
}

TEST_CASE("a query value is encoded so that it comes back") {
    const std::string value = "/data/a b+c&d=e%20\xC3\xA9?#.db";
    HttpRequest request;

    REQUIRE(decode_target("/stream?path=" + encode_query_value(value) + "&x=1", request));

    CHECK(request.query_value("path") == value);
    CHECK(encode_query_value("/a b") == "%2Fa%20b");
}
