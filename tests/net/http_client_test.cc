#include "shared/net/http_client.h"

#include <doctest/doctest.h>

#include <future>

#include "tests/net/net_support.h"

using namespace litestream;

namespace {

constexpr const char* kOk = "HTTP/1.1 200 OK\r\n";

// The body of an answer, or the error of the step that fails.
std::string fetch(const std::string& answer) {
    const ScriptedServer server(answer_with(answer));
    HttpClient client;
    const Status got = client.get(get_request(server.port(), "/"));
    return got ? read_body(client) : "error: " + got.error().message;
}

Error get_error(const HttpGet& request) {
    HttpClient client;
    const Status got = client.get(request);
    REQUIRE_FALSE(got);
    return got.error();
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

void wait_for_close(RawPeer& peer) { peer.read_all(); }

}  // namespace

TEST_CASE("a body is as long as its header says, in chunks, or until the end") {
    CHECK(fetch(std::string(kOk) + "Content-Length: 5\r\n\r\nhello") == "hello");
    CHECK(fetch(std::string(kOk) + "Content-Length: 0\r\n\r\n").empty());
    CHECK(fetch(std::string(kOk) + "\r\nuntil the end") == "until the end");
    CHECK(fetch("HTTP/1.0 200 OK\r\n\r\nold") == "old");
    CHECK(fetch(std::string(kOk) +
                "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n") == "hello!");
    CHECK(fetch("HTTP/1.1 100 Continue\r\n\r\n" + std::string(kOk) + "Content-Length: 2\r\n\r\nok") == "ok");
}

TEST_CASE("a body that ends early is an error, never an end") {
    CHECK(has(fetch(std::string(kOk) + "Content-Length: 9\r\n\r\nhello"), "the connection ended early"));
    for (const char* chunks : {"", "5", "5\r\nhel", "5\r\nhello\r\n", "5\r\nhello\r\n0\r\n"}) {
        const std::string result = fetch(std::string(kOk) + "Transfer-Encoding: chunked\r\n\r\n" + chunks);
        CHECK_MESSAGE(has(result, "the connection ended early"), chunks);
        CHECK(has(result, "http://127.0.0.1:"));
    }
}

TEST_CASE("an answer that is none is an error that names the host") {
    CHECK(has(fetch(""), "it closed the connection without an answer"));
    CHECK(has(fetch("SSH-2.0-OpenSSH_9\r\n"), "no HTTP"));
    CHECK(has(fetch("HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'x')),
              "cannot connect to http://127.0.0.1:"));
    CHECK(has(fetch(std::string(kOk) + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n"), "cannot be understood"));
    CHECK(has(fetch(std::string(kOk) + "Transfer-Encoding: chunked\r\n\r\n5;" + std::string(90'000, 'x')),
              "cannot be understood"));
}

TEST_CASE("the request says what was asked for") {
    std::string seen;
    HttpGet request;
    {
        const ScriptedServer server([&](RawPeer& peer) {
            seen = peer.read_until("\r\n\r\n");
            peer.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        });
        request = get_request(server.port(), "/stream?path=%2Fa");
        request.headers = {{"Authorization", "Bearer t"}};
        request.upgrade = "liblitestream/1";
        HttpClient client;
        REQUIRE(client.get(request));
        CHECK(client.status() == 404);
        CHECK_FALSE(client.is_upgraded());
    }

    CHECK(seen.find("GET /stream?path=%2Fa HTTP/1.1\r\nHost: 127.0.0.1:" + request.url.port + "\r\n") == 0);
    CHECK(has(seen, "\r\nAuthorization: Bearer t\r\n"));
    CHECK(has(seen, "\r\nConnection: Upgrade\r\nUpgrade: liblitestream/1\r\n"));
}

TEST_CASE("only the protocol that was asked for makes an upgrade, and its first bytes are not lost") {
    const auto upgraded = [](const char* protocol, std::string& first) {
        const ScriptedServer server(answer_with(std::string("HTTP/1.1 101 Switching Protocols\r\nUpgrade: ") +
                                                protocol + "\r\n\r\nfirst"));
        HttpGet request = get_request(server.port(), "/");
        request.upgrade = "liblitestream/1";
        HttpClient client;
        REQUIRE(client.get(request));
        first = read_body(client);
        return client.is_upgraded();
    };
    std::string first;

    CHECK(upgraded("LibLitestream/1", first));
    CHECK(first == "first");
    CHECK_FALSE(upgraded("websocket", first));
    CHECK(first.empty());
}

TEST_CASE("a connection that is refused says so") {
    const std::uint16_t port = unused_port();

    const Error error = get_error(get_request(port, "/"));

    CHECK(error.code == ErrorCode::kIo);
    CHECK(error.message ==
          "cannot connect to http://127.0.0.1:" + std::to_string(port) + ": Connection refused");
}

TEST_CASE("an unknown host is named") {
    HttpGet request = get_request(80, "/");
    request.url.host = "no-such-host.invalid";

    const Error error = get_error(request);

    CHECK(error.code == ErrorCode::kIo);
    CHECK(error.message.find("cannot connect to http://no-such-host.invalid:80: ") == 0);
}

TEST_CASE("what makes no sense is an input error") {
    HttpGet request = get_request(80, "/");
    request.url.scheme = "ftp";
    CHECK(get_error(request).code == ErrorCode::kInput);
    request = get_request(80, "/");
    request.url.host = "";
    CHECK(get_error(request).code == ErrorCode::kInput);
    request = get_request(80, "/");
    request.url.host = "a\r\nb";
    CHECK(get_error(request).code == ErrorCode::kInput);
    CHECK(get_error(get_request(80, "/a b")).code == ErrorCode::kInput);
    request = get_request(80, "/");
    request.headers = {{"Authorization", "a\r\nHost: evil"}};
    CHECK(get_error(request).code == ErrorCode::kInput);
}

TEST_CASE("a server that never answers is given up in time") {
    const ScriptedServer server(wait_for_close);
    HttpGet request = get_request(server.port(), "/");
    request.connect_timeout_ms = 50;

    const Error error = get_error(request);

    CHECK(error.code == ErrorCode::kIo);
    CHECK(has(error.message, "no answer within 50 ms"));
}

TEST_CASE("a peer that falls silent in the middle is busy, then dead") {
    const ScriptedServer server([](RawPeer& peer) {
        peer.read_until("\r\n\r\n");
        peer.send(std::string(kOk) + "\r\nhello");
        wait_for_close(peer);
    });
    HttpGet request = get_request(server.port(), "/");
    request.read_timeout_ms = 50;
    HttpClient client;
    Bytes buffer(5);
    REQUIRE(client.get(request));
    REQUIRE(client.read_exactly(buffer));

    const auto none = client.read_for(buffer, 1);
    const auto silent = client.read(buffer);

    CHECK((none && !*none));
    REQUIRE_FALSE(silent);
    CHECK(silent.error().code == ErrorCode::kBusy);
    CHECK(has(silent.error().message, "nothing came for 50 ms"));
}

TEST_CASE("cancel() from another thread ends a step that waits, and all later ones") {
    const ScriptedServer server([](RawPeer& peer) {
        peer.read_until("\r\n\r\n");
        peer.send(std::string(kOk) + "\r\n");
        wait_for_close(peer);
    });
    HttpClient client;
    Bytes buffer(5);
    REQUIRE(client.get(get_request(server.port(), "/")));
    auto reading = std::async(std::launch::async, [&] { return client.read(buffer); });

    client.cancel();

    CHECK(reading.get().error().code == ErrorCode::kInterrupt);
    CHECK(client.read(buffer).error().code == ErrorCode::kInterrupt);
    CHECK(client.get(get_request(server.port(), "/")).error().code == ErrorCode::kInterrupt);
}

TEST_CASE("cancel() ends a connect that waits for its answer") {
    Tally tally;
    const ScriptedServer server([&](RawPeer& peer) {
        peer.read_until("\r\n\r\n");
        tally.add("asked");
        wait_for_close(peer);
    });
    HttpClient client;
    auto getting =
        std::async(std::launch::async, [&] { return client.get(get_request(server.port(), "/")); });
    REQUIRE(tally.wait_for("asked"));

    client.cancel();

    CHECK(getting.get().error().code == ErrorCode::kInterrupt);
}

TEST_CASE("a peer that takes nothing ends a write in time") {
    Tally tally;
    const ScriptedServer server([&](RawPeer& peer) {
        peer.read_until("\r\n\r\n");
        peer.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
        tally.wait_for("over");
    });
    HttpGet request = get_request(server.port(), "/");
    request.upgrade = "x";
    request.write_timeout_ms = 50;
    HttpClient client;
    REQUIRE(client.get(request));

    const Status written = client.write(Bytes(64 << 20));
    tally.add("over");

    REQUIRE_FALSE(written);
    CHECK(has(written.error().message, "the peer took nothing for 50 ms"));
}

TEST_CASE("without a connection there is nothing to read") {
    HttpClient client;
    Bytes buffer(1);

    CHECK(client.status() == 0);
    CHECK(client.header("x").empty());
    CHECK_FALSE(client.read(buffer));
    CHECK_FALSE(client.write(buffer));
}
