#include "shared/net/curl_transport.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <future>

#include "tests/net/net_support.h"

using namespace litestream;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

HttpRequestSpec request_to(std::uint16_t port, const std::string& target = "/") {
    HttpRequestSpec request;
    request.url = "http://127.0.0.1:" + std::to_string(port) + target;
    return request;
}

std::string ok_with(const std::string& body) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// What the server saw of a request that it answered, with `size` bytes of body.
std::string seen_of(HttpRequestSpec request, std::size_t size = 0) {
    std::string seen;
    {
        const ScriptedServer server([&](RawPeer& peer) {
            seen = peer.read_until("\r\n\r\n");
            while (seen.size() < seen.find("\r\n\r\n") + 4 + size) seen += peer.read_some();
            peer.send(ok_with(""));
        });
        request.url = "http://127.0.0.1:" + std::to_string(server.port()) + request.url;
        CurlTransport transport;
        REQUIRE(transport.send(request));
    }
    return seen;
}

}  // namespace

TEST_CASE("an answer has its status, headers in small letters and its body") {
    const ScriptedServer server(
        answer_with("HTTP/1.1 404 Not Found\r\nX-Thing:  a b \r\nContent-Length: 5\r\n\r\nhello"));
    CurlTransport transport;

    const auto answer = transport.send(request_to(server.port()));

    REQUIRE(answer);
    CHECK(answer->status == 404);
    CHECK(answer->header("x-thing") == "a b");
    CHECK(answer->body == "hello");
}

TEST_CASE("a request says what was asked for") {
    HttpRequestSpec request;
    request.method = "PUT";
    request.url = "/a%20b/../c?x=1&y=";
    request.headers = {{"If-None-Match", "*"}, {"Content-Type", "text/plain"}};
    request.body = as_bytes("hello");

    const std::string seen = seen_of(request, 5);

    CHECK(seen.starts_with("PUT /a%20b/../c?x=1&y= HTTP/1.1\r\n"));
    CHECK(has(seen, "\r\nIf-None-Match: *\r\n"));
    CHECK(has(seen, "\r\nContent-Length: 5\r\n"));
    CHECK(seen.ends_with("\r\n\r\nhello"));
    CHECK_FALSE(has(seen, "Authorization"));
}

TEST_CASE("methods without a body send none") {
    for (const char* method : {"HEAD", "DELETE", "GET"}) {
        HttpRequestSpec request;
        request.method = method;
        request.url = "/";
        const std::string seen = seen_of(request);
        CHECK(seen.starts_with(std::string(method) + " / HTTP/1.1\r\n"));
        CHECK_FALSE(has(seen, "Content-Length"));
    }
}

TEST_CASE("a signature covers the caller's headers and the token, and shows no secret") {
    HttpRequestSpec request;
    request.url = "/key?list-type=2";
    request.headers = {{"x-amz-content-sha256", "UNSIGNED-PAYLOAD"}, {"Range", "bytes=0-9"}};
    request.signing = AwsSigning{{"the-id", "the-secret", "the-token"}, "eu-west-1", "s3"};

    const std::string seen = seen_of(request);

    CHECK(has(seen, "Authorization: AWS4-HMAC-SHA256 Credential=the-id/"));
    CHECK(has(seen, "/eu-west-1/s3/aws4_request"));
    CHECK(has(seen, "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date;x-amz-security-token"));
    CHECK(has(seen, "x-amz-security-token: the-token\r\n"));
    CHECK_FALSE(has(seen, "the-secret"));
}

TEST_CASE("a connection is used again") {
    int connections = 0;
    const ScriptedServer server([&](RawPeer& peer) {
        ++connections;
        while (!peer.read_until("\r\n\r\n").empty()) peer.send(ok_with("again"));
    });
    CurlTransport transport;

    for (int i = 0; i < 3; ++i) CHECK(transport.send(request_to(server.port()))->body == "again");

    CHECK(connections == 1);
}

TEST_CASE("a body streams, and only that of a good answer") {
    const ScriptedServer good(answer_with(ok_with("hello")));
    const ScriptedServer bad(answer_with("HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nwhy"));
    CurlTransport transport;
    Bytes body;

    CHECK(transport.send(request_to(good.port()), append_to(body))->body.empty());
    CHECK(transport.send(request_to(bad.port()), append_to(body))->body == "why");

    CHECK(as_text(body) == "hello");
}

TEST_CASE("the error of who takes the body ends the request") {
    const ScriptedServer server(answer_with(ok_with("hello")));
    CurlTransport transport;

    const auto answer =
        transport.send(request_to(server.port()), [](ByteView) { return Status(corrupt("enough")); });

    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == ErrorCode::kCorrupt);
    CHECK(answer.error().message == "enough");
}

TEST_CASE("an answer that is cut, missing or none is an error that names the host") {
    for (const char* text : {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "", "SSH-2.0-x\r\n"}) {
        CAPTURE(text);
        const ScriptedServer server(answer_with(text));
        CurlTransport transport;

        const auto answer = transport.send(request_to(server.port()));

        REQUIRE_FALSE(answer);
        CHECK(answer.error().code == ErrorCode::kIo);
        CHECK(has(answer.error().message, "http://127.0.0.1:" + std::to_string(server.port()) + ": "));
    }
    CurlTransport transport;
    CHECK(transport.send(request_to(unused_port())).error().code == ErrorCode::kIo);
}

TEST_CASE("what is kept of an answer is bounded") {
    const ScriptedServer body([](RawPeer& peer) {
        peer.read_until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n");
        while (peer.send(std::string(1 << 20, 'x'))) {
        }
    });
    std::string headers = "HTTP/1.1 200 OK\r\n";
    for (int i = 0; i < 100; ++i)
        headers += "X-" + std::to_string(i) + ": " + std::string(1000, 'x') + "\r\n";
    const ScriptedServer header(answer_with(headers + "Content-Length: 0\r\n\r\n"));
    CurlTransport transport;

    CHECK(has(transport.send(request_to(body.port())).error().message, "larger than 8 MiB"));
    CHECK(has(transport.send(request_to(header.port())).error().message, "larger than 64 KiB"));
}

TEST_CASE("a redirect is an answer") {
    const ScriptedServer server(
        answer_with("HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"));
    CurlTransport transport;

    CHECK(transport.send(request_to(server.port()))->status == 307);
}

TEST_CASE("a scheme or a URL that is none is refused") {
    CurlTransport transport;
    for (const char* url : {"ftp://127.0.0.1/", "file:///etc/passwd", "nonsense"}) {
        HttpRequestSpec request;
        request.url = url;
        CHECK_MESSAGE(transport.send(request).error().code == ErrorCode::kInput, url);
    }
}

TEST_CASE("a peer that falls silent is given up") {
    const ScriptedServer server([](RawPeer& peer) { peer.read_all(); });
    CurlTransport transport;
    HttpRequestSpec request = request_to(server.port());
    request.silence_timeout_ms = 50;

    const auto answer = transport.send(request);

    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == ErrorCode::kIo);
    CHECK(has(answer.error().message, "in time"));
}

TEST_CASE("a peer that tells its answer byte by byte is given up, where that was asked for") {
    const ScriptedServer server(
        [](RawPeer& peer) {
            peer.read_until("\r\n\r\n");
            bool is_there = peer.send("HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n");
            for (int i = 0; i < 40 && is_there; ++i) {
                pollfd gone = {peer.descriptor(), POLLIN, 0};
                is_there = ::poll(&gone, 1, 10) == 0 && peer.send("x");
            }
        },
        2);
    CurlTransport transport;
    HttpRequestSpec request = request_to(server.port());
    request.silence_timeout_ms = 200;

    const auto patient = transport.send(request);
    request.min_progress = 1000;
    const auto strict = transport.send(request);

    CHECK(patient);
    REQUIRE_FALSE(strict);
    CHECK(strict.error().code == ErrorCode::kIo);
    CHECK(has(strict.error().message, "too little came or went in time"));
}

TEST_CASE("cancelling ends the request at hand and all later ones") {
    std::promise<void> asked;
    const ScriptedServer server([&](RawPeer& peer) {
        peer.read_until("\r\n\r\n");
        asked.set_value();
        peer.read_all();
    });
    CurlTransport transport;
    auto answer = std::async(std::launch::async, [&] { return transport.send(request_to(server.port())); });
    asked.get_future().wait();

    transport.cancel();

    CHECK(answer.get().error().code == ErrorCode::kInterrupt);
    CHECK(transport.send(request_to(server.port())).error().code == ErrorCode::kInterrupt);
}
