#include <doctest/doctest.h>

#include <atomic>

#include "shared/net/http_client.h"
#include "shared/net/http_server.h"
#include "tests/net/net_support.h"

using namespace litestream;

namespace {

// What a test wants to happen on a streaming connection, and what did.
struct Script {
    Tally tally;
    std::function<void(HttpPeer&)> on_start;
    std::function<void(HttpPeer&, ByteView)> on_data;
};

class ScriptedStream final : public HttpStream {
  public:
    explicit ScriptedStream(Script& script) : script_(script) {}
    ~ScriptedStream() override { script_.tally.add("destroyed"); }
    void start(HttpPeer& peer) override {
        peer_ = &peer;
        script_.tally.add("start");
        if (script_.on_start) script_.on_start(peer);
    }
    void on_data(ByteView bytes) override {
        if (script_.on_data) script_.on_data(*peer_, bytes);
    }
    void on_closed() override { script_.tally.add("closed"); }

  private:
    Script& script_;
    HttpPeer* peer_ = nullptr;
};

struct Served {
    explicit Served(const std::string& upgrade, const HttpLimits& limits = {}) {
        auto listening = HttpServer::listen(
            io, "127.0.0.1:0",
            [this, upgrade](const HttpRequest& request) -> HttpReply {
                const bool upgrades = !upgrade.empty() && request.header("upgrade") == upgrade;
                return StreamReply{upgrades ? upgrade : "",
                                   {{"X-Page-Size", "4096"}},
                                   std::make_shared<ScriptedStream>(script)};
            },
            limits);
        REQUIRE(listening);
        server = *std::move(listening);
    }
    HttpGet request() const { return get_request(server->port(), "/stream"); }

    IoThread io;
    Script script;
    std::unique_ptr<HttpServer> server;
};

constexpr const char* kAsk = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string kBig(8 << 20, 'b');

void write_numbers(HttpPeer& peer, int next, int end) {
    if (next == end) return peer.finish();
    const auto text = std::make_shared<std::string>(std::to_string(next) + " ");
    peer.write(as_bytes(*text), [&peer, text, next, end](bool ok) {
        if (ok) write_numbers(peer, next + 1, end);
    });
}

}  // namespace

TEST_CASE("a chunked stream comes whole and ends cleanly") {
    Served served("");
    served.script.on_start = [](HttpPeer& peer) { write_numbers(peer, 0, 2000); };
    HttpClient client;
    std::string expected;
    for (int i = 0; i < 2000; i++) expected += std::to_string(i) + " ";

    REQUIRE(client.get(served.request()));

    CHECK(client.status() == 200);
    CHECK(client.header("x-page-size") == "4096");
    CHECK_FALSE(client.is_upgraded());
    CHECK(read_body(client) == expected);
    CHECK(client.received_bytes() == expected.size());
    CHECK(served.script.tally.wait_for("closed"));
    CHECK(served.script.tally.wait_for("destroyed"));
}

TEST_CASE("an empty write is no end of the stream") {
    Served served("");
    served.script.on_start = [](HttpPeer& peer) {
        peer.write({}, [&peer](bool ok) {
            if (ok) peer.write(as_bytes("tail"), [&peer](bool) { peer.finish(); });
        });
    };
    HttpClient client;

    REQUIRE(client.get(served.request()));

    CHECK(read_body(client) == "tail");
}

TEST_CASE("finish() called while a write is pending ends the body behind it") {
    Served served("");
    served.script.on_start = [](HttpPeer& peer) {
        peer.write(as_bytes("all"), [](bool) {});
        peer.finish();
    };
    HttpClient client;

    REQUIRE(client.get(served.request()));

    CHECK(read_body(client) == "all");
}

TEST_CASE("an HTTP/1.0 client gets the stream without chunks") {
    Served served("");
    served.script.on_start = [](HttpPeer& peer) { write_numbers(peer, 0, 5); };
    RawPeer peer = RawPeer::connect(served.server->port());

    REQUIRE(peer.send("GET / HTTP/1.0\r\n\r\n"));

    const std::string text = peer.read_all();
    CHECK(text.ends_with("\r\n\r\n0 1 2 3 4 "));
    CHECK(text.find("chunked") == std::string::npos);
}

TEST_CASE("HEAD of a stream is its header alone, and the stream never starts") {
    Served served("");
    RawPeer peer = RawPeer::connect(served.server->port());

    REQUIRE(peer.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"));

    CHECK(peer.read_all().ends_with("\r\n\r\n"));
    CHECK(served.script.tally.wait_for("destroyed"));
    CHECK(served.script.tally.count("start") == 0);
}

TEST_CASE("an upgraded connection carries bytes both ways") {
    Served served("echo/1");
    served.script.on_data = [](HttpPeer& peer, ByteView bytes) {
        const auto copy = std::make_shared<Bytes>(bytes.begin(), bytes.end());
        peer.write(*copy, [copy](bool) {});
    };
    HttpGet request = served.request();
    request.upgrade = "echo/1";
    HttpClient client;
    Bytes answer(5);

    REQUIRE(client.get(request));
    REQUIRE(client.is_upgraded());
    for (const char* word : {"hello", "again"}) {
        REQUIRE(client.write(as_bytes(word)));
        REQUIRE(client.read_exactly(answer));
        CHECK(as_text(answer) == word);
    }
    const auto nothing = client.read_for(answer, 10);

    CHECK(client.status() == 101);
    REQUIRE(nothing);
    CHECK_FALSE(*nothing);
}

TEST_CASE("what a client sends right behind its request reaches the upgraded stream first") {
    Served served("echo/1");
    served.script.on_data = [](HttpPeer& peer, ByteView bytes) {
        const auto copy = std::make_shared<Bytes>(bytes.begin(), bytes.end());
        peer.write(*copy, [copy, &peer](bool) { peer.finish(); });
    };
    RawPeer peer = RawPeer::connect(served.server->port());

    REQUIRE(peer.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\nearly"));

    const std::string text = peer.read_all();
    CHECK(text.find("HTTP/1.1 101 Switching Protocols\r\n") == 0);
    CHECK(text.ends_with("\r\n\r\nearly"));
}

TEST_CASE("a server that knows no upgrade answers as ever") {
    Served served("");
    served.script.on_start = [](HttpPeer& peer) { write_numbers(peer, 0, 3); };
    HttpGet request = served.request();
    request.upgrade = "echo/1";
    HttpClient client;

    REQUIRE(client.get(request));

    CHECK(client.status() == 200);
    CHECK_FALSE(client.is_upgraded());
    CHECK_FALSE(client.write(as_bytes("x")));
    CHECK(read_body(client) == "0 1 2 ");
}

TEST_CASE("a client that goes is noticed while nothing is written") {
    Served served("");
    {
        RawPeer peer = RawPeer::connect(served.server->port());
        REQUIRE(peer.send(kAsk));
        REQUIRE(served.script.tally.wait_for("start"));
    }

    CHECK(served.script.tally.wait_for("closed"));
    CHECK(served.script.tally.wait_for("destroyed"));
}

TEST_CASE("a client that talks on without being asked is closed") {
    Served served("");
    RawPeer peer = RawPeer::connect(served.server->port());
    REQUIRE(peer.send(kAsk));
    REQUIRE(served.script.tally.wait_for("start"));

    peer.send(std::string(200'000, 'x'));

    CHECK(served.script.tally.wait_for("closed"));
}

TEST_CASE("a client that takes nothing is given up, and the write says so before the end") {
    Served served("", {.write_ms = 50});
    Tally& tally = served.script.tally;
    served.script.on_start = [&](HttpPeer& peer) {
        peer.write(as_bytes(kBig), [&](bool ok) {
            tally.add(ok ? "taken" : tally.count("closed") == 0 ? "gone" : "late");
        });
    };
    RawPeer peer = RawPeer::connect(served.server->port());

    REQUIRE(peer.send(kAsk));

    CHECK(tally.wait_for("closed"));
    CHECK(tally.count("gone") == 1);
}

TEST_CASE("a slow client that goes on taking gets all of it") {
    Served served("", {.write_ms = 5'000});
    served.script.on_start = [](HttpPeer& peer) {
        peer.write(as_bytes(kBig), [&peer](bool) { peer.finish(); });
    };
    HttpClient client;

    REQUIRE(client.get(served.request()));

    CHECK(read_body(client) == kBig);
}

TEST_CASE("close() ends the stream at once, but not from within the call") {
    Served served("");
    bool was_called_within = true;
    served.script.on_start = [&](HttpPeer& peer) {
        peer.close();
        was_called_within = served.script.tally.count("closed") > 0;
    };
    HttpClient client;

    REQUIRE(client.get(served.request()));

    CHECK(read_body(client).find("error: ") == 0);
    CHECK(served.script.tally.wait_for("closed"));
    CHECK_FALSE(was_called_within);
}

TEST_CASE("a server that goes ends its streams before its destructor returns") {
    Served served("");
    served.script.on_start = [&](HttpPeer& peer) {
        peer.write(as_bytes(kBig), [&](bool ok) { served.script.tally.add(ok ? "taken" : "gone"); });
    };
    RawPeer peer = RawPeer::connect(served.server->port());
    REQUIRE(peer.send(kAsk));
    REQUIRE(served.script.tally.wait_for("start"));

    served.server.reset();

    CHECK(served.script.tally.count("gone") == 1);
    CHECK(served.script.tally.count("closed") == 1);
    CHECK(served.script.tally.count("destroyed") == 1);
}

TEST_CASE("many clients are served at once") {
    Served served("");
    served.script.on_start = [](HttpPeer& peer) { write_numbers(peer, 0, 200); };
    std::vector<std::thread> threads;
    std::atomic<int> good = 0;
    for (int i = 0; i < 16; i++) {
        threads.emplace_back([&] {
            HttpClient client;
            if (client.get(served.request()) && read_body(client).ends_with(" 198 199 ")) good++;
        });
    }

    for (std::thread& thread : threads) thread.join();

    CHECK(good == 16);
}
