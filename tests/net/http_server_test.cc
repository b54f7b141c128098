#include "shared/net/http_server.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <stdexcept>

#include "tests/net/net_support.h"

using namespace litestream;

namespace {

HttpReply answer(const HttpRequest& request) {
    if (request.path == "/throw") throw std::runtime_error("a library's");
    HttpResponse response;
    response.body = request.method + " " + request.path + " " + request.query_value("q");
    if (request.path == "/missing") response.status = 404;
    return response;
}

struct Served {
    explicit Served(const HttpLimits& limits = {}, const std::string& address = "127.0.0.1:0") {
        auto listening = HttpServer::listen(io, address, answer, limits);
        REQUIRE(listening);
        server = *std::move(listening);
    }
    RawPeer connect() const { return RawPeer::connect(server->port()); }
    std::string ask(const std::string& text) const {
        RawPeer peer = connect();
        REQUIRE(peer.send(text));
        return peer.read_all();
    }

    IoThread io;
    std::unique_ptr<HttpServer> server;
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

constexpr const char* kClose = " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
constexpr const char* kKeep = " HTTP/1.1\r\nHost: h\r\n\r\n";

}  // namespace

TEST_CASE("a request is answered by the handler") {
    const Served served;

    const std::string text = served.ask(std::string("GET /a?q=b%20c") + kClose);

    CHECK(text.find("HTTP/1.1 200 OK\r\n") == 0);
    CHECK(has(text, "\r\nContent-Length: 10\r\n"));
    CHECK(has(text, "\r\nConnection: close\r\n"));
    CHECK(text.ends_with("\r\n\r\nGET /a b c"));
}

TEST_CASE("HEAD is answered without a body") {
    const Served served;

    const std::string text = served.ask(std::string("HEAD /a") + kClose);

    CHECK(has(text, "\r\nContent-Length: 8\r\n"));
    CHECK(text.ends_with("\r\n\r\n"));
}

TEST_CASE("a client that keeps the connection gets one answer after the other, also to what it sent ahead") {
    const Served served;
    RawPeer peer = served.connect();

    REQUIRE(peer.send(std::string("GET /1") + kKeep + "GET /missing" + kKeep));
    CHECK(has(peer.read_until("GET /missing "), "404 Not Found"));
    REQUIRE(peer.send(std::string("GET /3") + kClose));

    CHECK(peer.read_all().ends_with("GET /3 "));
}

TEST_CASE("requests without a pause are told to wait") {
    HttpLimits limits;
    limits.max_requests_per_second = 1;
    const Served served(limits);
    RawPeer peer = served.connect();
    std::string requests;
    for (int i = 0; i < 20; ++i) requests += std::string("GET /1") + kKeep;

    REQUIRE(peer.send(requests + "GET /last" + kClose));

    const std::string text = peer.read_all();
    CHECK(has(text, "HTTP/1.1 200 OK\r\n"));
    CHECK(has(text, "HTTP/1.1 429 Too Many Requests\r\n"));
}

TEST_CASE("what cannot be understood is answered in one line and closed") {
    const Served served;

    for (const std::string request :
         {"\x16\x03\x01", "hello\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n"}) {
        const std::string text = served.ask(request);
        CHECK(text.find("HTTP/1.1 400 Bad Request\r\n") == 0);
        CHECK(has(text, "\r\nContent-Type: text/plain; charset=utf-8\r\n"));
        CHECK(has(text, "\r\nX-Content-Type-Options: nosniff\r\n"));
        CHECK(text.ends_with("\n"));
    }
}

TEST_CASE("a header above the limit gets 431 and a body 413") {
    const Served served;

    CHECK(has(served.ask("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(20'000, 'x')), " 431 "));
    CHECK(has(served.ask("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"), " 413 "));
}

TEST_CASE("half a request gets 408 when its time is over, and silence is closed") {
    const Served served({.request_ms = 30});

    CHECK(has(served.ask("GET / HTT"), " 408 "));
    CHECK(served.ask("").empty());
}

TEST_CASE("a kept connection on which nothing comes is closed") {
    const Served served({.idle_ms = 30});
    RawPeer peer = served.connect();

    REQUIRE(peer.send(std::string("GET /1") + kKeep));

    CHECK(peer.read_all().ends_with("GET /1 "));
}

TEST_CASE("a connection too many gets 503 and is closed, and a free place is used again") {
    const Served served({.max_connections = 2, .drain_ms = 5});
    RawPeer first = served.connect();
    {
        RawPeer second = served.connect();
        REQUIRE(second.send(std::string("GET /2") + kKeep));
        CHECK(has(second.read_until("GET /2 "), "200 OK"));
        CHECK(has(served.connect().read_all(), " 503 "));
    }
    REQUIRE(first.send(std::string("GET /1") + kClose));

    CHECK(has(first.read_all(), "200 OK"));
}

TEST_CASE("a handler that fails is answered with 500") {
    const Served served;

    CHECK(has(served.ask(std::string("GET /throw") + kClose), " 500 "));
}

TEST_CASE("an address in use is an error that names it") {
    Served served;
    const std::string address = "127.0.0.1:" + std::to_string(served.server->port());

    const auto second = HttpServer::listen(served.io, address, answer);

    REQUIRE_FALSE(second);
    CHECK(second.error().code == ErrorCode::kCantOpen);
    CHECK(second.error().message == address + ": cannot listen: Address already in use");
}

TEST_CASE("an address that makes no sense is an input error") {
    IoThread io;

    for (const char* address : {"nothing", "127.0.0.1:99999", "no.such.host.invalid:80", "[::1]"}) {
        const auto server = HttpServer::listen(io, address, answer);
        REQUIRE_FALSE(server);
        CHECK(server.error().code == ErrorCode::kInput);
        CHECK(has(server.error().message, address));
    }
    CHECK(HttpServer::listen(io, "192.0.2.1:0", answer).error().code == ErrorCode::kCantOpen);
}

TEST_CASE("a server says where it is") {
    const Served served;
    const Served open({}, ":0");
    const Served named({}, "localhost:0");

    CHECK(served.server->base_url() == "http://127.0.0.1:" + std::to_string(served.server->port()));
    CHECK(served.server->is_loopback());
    CHECK_FALSE(open.server->is_loopback());
    CHECK(has(open.ask(std::string("GET /x") + kClose), "200 OK"));
    CHECK(named.server->is_loopback());
}

TEST_CASE("a server that goes closes its connections and its port") {
    auto served = std::make_unique<Served>();
    const std::uint16_t port = served->server->port();
    RawPeer peer = served->connect();
    REQUIRE(peer.send(std::string("GET /1") + kKeep));
    REQUIRE(has(peer.read_until("GET /1 "), "200 OK"));

    served->server.reset();

    CHECK(peer.read_all().empty());
    CHECK_THROWS(RawPeer::connect(port));
}

TEST_CASE("with no descriptor left a client is taken once there is one again") {
    const Served served;
    RawPeer peer = served.connect();
    RawPeer other = served.connect();
    REQUIRE(peer.send(std::string("GET /1") + kKeep));
    peer.read_until("GET /1 ");
    REQUIRE(other.send(std::string("GET /2") + kKeep));
    other.read_until("GET /2 ");
    File waiting(::socket(AF_INET, SOCK_STREAM, 0), "client");
    rlimit before = {};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit none = before;
    none.rlim_cur = 3;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);

    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(served.server->port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int connected =
        ::connect(waiting.descriptor(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    RawPeer late(std::move(waiting));
    const bool sent = late.send(std::string("GET /late") + kClose);
    REQUIRE(peer.send(std::string("GET /3") + kKeep));
    const std::string meanwhile = peer.read_until("GET /3 ");
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);

    CHECK(connected == 0);
    CHECK(sent);
    CHECK(has(meanwhile, "200 OK"));
    CHECK(has(late.read_all(), "200 OK"));
}
