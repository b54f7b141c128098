// One connection over a real socket: what is asked, what the answers mean, and that it can be ended.
#include "shared/stream/stream_client.h"

#include <thread>

#include "shared/stream/stream_request.h"
#include "tests/stream/client_fixture.h"
#include "tests/stream/scripted_server.h"

using namespace litestream;
using namespace litestream::following;

namespace {

const std::string kGeneration = "00000000000000aa";
const std::string kPageSize = "Litestream-Page-Size: 512\r\n";
const std::string kUpgraded =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: liblitestream/1\r\n" + kPageSize +
    "\r\n";

std::string text_of(const Bytes& bytes) { return std::string(as_text(bytes)); }

std::string refusal(const std::string& status, const std::string& text) {
    return "HTTP/1.1 " + status + "\r\nConnection: close\r\nContent-Length: " + std::to_string(text.size()) +
           "\r\n\r\n" + text;
}

std::string body(const Bytes& bytes) {
    return "HTTP/1.1 200 OK\r\n" + kPageSize + "Content-Length: " + std::to_string(bytes.size()) +
           "\r\n\r\n" + text_of(bytes);
}

struct Connecting : Following {
    std::string request;

    Connecting() { source.path = "/data/app.db"; }
    Error run_against(ScriptedServer& server) {
        source.url = *Url::parse(server.url());
        StreamClient client(source, feed);
        const Error error = client.run();
        progress = client.progress();
        return error;
    }
    Error run(const std::string& answer) {
        ScriptedServer server([&](RawPeer& peer) {
            request = peer.read_request();
            peer.send(answer);
        });
        return run_against(server);
    }
    void check(const std::string& answer, ErrorCode code, const std::vector<std::string>& parts) {
        const Error error = run(answer);
        CHECK_MESSAGE(error.code == code, error.message);
        CHECK_MESSAGE(contains(error.message, "http://127.0.0.1:"), error.message);
        for (const std::string& part : parts) CHECK_MESSAGE(contains(error.message, part), error.message);
        CHECK_FALSE(progress.is_connected);
        CHECK(shown().empty());
    }
};

}  // namespace

TEST_CASE_FIXTURE(Connecting, "the first request names the database, the protocol and the token") {
    source.path = "/data/my app.db";
    source.token = "s3cret";

    (void)run(refusal("503 Service Unavailable", ""));

    CHECK(request.starts_with("GET /stream?path=%2Fdata%2Fmy%20app.db HTTP/1.1\r\n"));
    CHECK(contains(request, "\r\nUpgrade: liblitestream/1\r\n"));
    CHECK(contains(request, "\r\nAuthorization: Bearer s3cret\r\n"));
}

TEST_CASE("a later request names generation and index, but not where the replica holds a bare copy") {
    StreamSource source;
    source.path = "/a";

    const HttpGet later = stream_request(source, {kGeneration, 31, 4152});
    const HttpGet bare = stream_request(source, {kGeneration, 31, 0});

    CHECK(later.target == "/stream?path=%2Fa&generation=00000000000000aa&index=000000000000001f");
    CHECK(bare.target == "/stream?path=%2Fa");
    CHECK(later.headers.empty());
}

TEST_CASE_FIXTURE(Connecting, "a refusal says what to do, with the server's own words") {
    check(refusal("404 Not Found", "Database not found\n"), ErrorCode::kInput,
          {"serves no database /data/app.db", "Database not found"});
    check(refusal("401 Unauthorized", "no"), ErrorCode::kInput, {"wants a token", "none was given"});
    check(refusal("403 Forbidden", "no"), ErrorCode::kInput, {"refuses this client", "localhost"});
    check(refusal("409 Conflict", "several"), ErrorCode::kInput, {"give the whole path", "several"});
    check(refusal("400 Bad Request", "what?"), ErrorCode::kInput, {"does not understand", "what?"});
    check(refusal("503 Service Unavailable", "No generation available\n"), ErrorCode::kIo,
          {"try again", "No generation available"});
    check(refusal("500 Oops", "a\x1b[31mb\nsecond line"), ErrorCode::kIo, {"status 500", "a?[31mb)"});
    check(refusal("302 Found", ""), ErrorCode::kIo, {"status 302", "redirects are not followed"});
}

TEST_CASE_FIXTURE(Connecting, "a refused token is told apart from a missing one") {
    source.token = "wrong";

    const Error error = run(refusal("401 Unauthorized", ""));

    CHECK(contains(error.message, "refuses the one that was given"));
    CHECK_FALSE(contains(error.message, "wrong"));
}

TEST_CASE_FIXTURE(Connecting, "the server's words are cut") {
    const Error error = run(refusal("500 Oops", std::string(5000, 'x')));

    CHECK(error.message.size() < 400);
}

TEST_CASE_FIXTURE(Connecting, "a server that is no Litestream is told so") {
    check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", ErrorCode::kInput, {"is no Litestream server"});
    check("HTTP/1.1 200 OK\r\nLitestream-Page-Size: 777\r\n\r\n", ErrorCode::kInput,
          {"is no Litestream server"});
    check("HTTP/1.1 200 OK\r\nLitestream-Page-Size: 0\r\n\r\n", ErrorCode::kIo, {"try again"});
    check("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" + kPageSize + "\r\n",
          ErrorCode::kInput, {"protocol"});
}

TEST_CASE_FIXTURE(Connecting,
                  "U19: another page size than the replica's is refused with both, at each attempt") {
    source.page_size = 4096;
    const SmallPrimary primary(kGeneration);
    const Bytes sent = primary.snapshot_record(primary.file()) + primary.header_record();

    for (int attempt = 0; attempt < 2; attempt++) {
        check(body(sent), ErrorCode::kInput, {"page size mismatch: replica 4096, primary 512"});
    }
}

TEST_CASE_FIXTURE(Connecting, "records are followed over HTTP") {
    SmallPrimary primary(kGeneration);
    const Bytes file = primary.file();
    primary.commit({{2, 3}});
    const SmallPrimary first = primary;
    const Bytes torn = primary.snapshot_record(file) + primary.segment_record(0);
    primary.next_index();
    const Bytes all = torn + primary.header_record();

    const Error error = run(body(all));

    CHECK(error.code == ErrorCode::kIo);
    CHECK(contains(error.message, "database /data/app.db: the server ended the stream"));
    CHECK(shows(first));
    CHECK(progress.received_bytes == all.size());
    CHECK(progress.snapshots == 1);
}

TEST_CASE_FIXTURE(Connecting, "a body that ends early shows only what is whole") {
    SmallPrimary primary(kGeneration);
    const std::string whole = body(primary.snapshot_record(primary.file()));

    check(whole.substr(0, whole.size() - 10), ErrorCode::kIo, {});
}

TEST_CASE_FIXTURE(Connecting, "a record beyond the limit is refused") {
    SmallPrimary primary(kGeneration);
    Bytes record = primary.header_record();
    store_be64(&record[32], kMaxSegmentPayload + 1);

    check(body(record), ErrorCode::kCorrupt, {"length"});
}

TEST_CASE_FIXTURE(Connecting, "messages are followed once the server has switched") {
    SmallPrimary primary(kGeneration);
    primary.commit({{2, 3}});
    const Bytes welcome = Welcome{1, primary.position(), kPage, true}.encode();
    std::string said;
    ScriptedServer server([&](RawPeer& peer) {
        (void)peer.read_request();
        peer.send(kUpgraded + text_of(welcome + primary.snapshot_message()));
        const std::size_t expected = Hello{}.encode().size() + Ack{}.encode().size();
        while (said.size() < expected) {
            const std::string more = peer.read_some();
            if (more.empty()) break;
            said += more;
        }
    });

    const Error error = run_against(server);

    CHECK(error.code == ErrorCode::kIo);
    CHECK(shows(primary));
    CHECK(said == text_of(Hello{}.encode() +
                          Ack{primary.position(), primary.position(), primary.position()}.encode()));
}

TEST_CASE_FIXTURE(Connecting, "U17: a peer that is there but says nothing is given up") {
    source.limits.silence_ms = 30;
    ScriptedServer server([&](RawPeer& peer) {
        (void)peer.read_request();
        peer.send(kUpgraded);
        peer.wait_for_end();
    });

    CHECK(run_against(server).code == ErrorCode::kBusy);
}

TEST_CASE_FIXTURE(Connecting, "an answer that does not come in time is waited for longer the next time") {
    source.limits.connect_ms = 20;
    source.limits.longest_connect_ms = 10'000;
    SmallPrimary primary(kGeneration);
    int connections = 0;
    ScriptedServer server(
        [&](RawPeer& peer) {
            (void)peer.read_request();
            if (++connections == 1) peer.wait_for_end();
            peer.send(refusal("503 Service Unavailable", ""));
        },
        2);
    source.url = *Url::parse(server.url());
    StreamClient client(source, feed);

    CHECK(contains(client.run().message, "no answer"));
    (void)client.run();
}

TEST_CASE_FIXTURE(Connecting, "stop ends a run that waits, and all that come later") {
    ScriptedServer server([&](RawPeer& peer) {
        (void)peer.read_request();
        peer.send(kUpgraded);
        peer.wait_for_end();
    });
    source.url = *Url::parse(server.url());
    StreamClient client(source, feed);
    std::thread stopper([&] {
        while (!client.progress().is_connected) std::this_thread::yield();
        client.stop();
    });

    CHECK(client.run().code == ErrorCode::kInterrupt);

    stopper.join();
    CHECK(client.run().code == ErrorCode::kInterrupt);
}

TEST_CASE_FIXTURE(Connecting,
                  "a URL without a host or of another scheme is refused before anything is sent") {
    for (const char* url : {"ftp://127.0.0.1/a", "http:///a"}) {
        source.url = *Url::parse(url);
        StreamClient client(source, feed);
        CHECK(client.run().code == ErrorCode::kInput);
    }
}
