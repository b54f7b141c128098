// GET /stream: what is refused, and what an e6f7c60 client is sent.
#include "shared/stream/stream_server.h"

#include <atomic>
#include <filesystem>
#include <thread>

#include "tests/stream/stream_fixture.h"

using namespace litestream;

namespace {

HttpResponse refusal(const HttpReply& reply) {
    const auto* response = std::get_if<HttpResponse>(&reply);
    REQUIRE(response != nullptr);
    return *response;
}

struct Fixture : StreamFixture {
    HttpResponse refused(const std::vector<std::pair<std::string, std::string>>& query) {
        HttpRequest asked = request();
        asked.query = query;
        return refusal(get(asked));
    }
    HttpRequest resuming(const std::string& generation, const std::string& index) const {
        HttpRequest asked = request();
        asked.query.emplace_back("generation", generation);
        asked.query.emplace_back("index", index);
        return asked;
    }

    Bytes record(StreamRecord::Type type, const Position& position, ByteView payload) const {
        Bytes bytes;
        append(bytes, StreamRecord{type, position, payload.size()}.encode());
        append(bytes, payload);
        return bytes;
    }
    Bytes snapshot_record(const Position& position) const {
        return record(StreamRecord::Type::kSnapshot, position, database->images().database());
    }
    Bytes segment_record(const std::string& generation, std::uint64_t index, std::uint64_t start) const {
        return record(StreamRecord::Type::kSegment, {generation, index, start},
                      database->stored(generation, index, start));
    }
    // The client has got exactly this, and nothing else is on its way.
    static void check_sent(TestClient& client, const Bytes& expected) {
        CHECK((client.peer().wait_for(expected.size()) == expected));
    }
};

Bytes operator+(Bytes left, const Bytes& right) {
    append(left, right);
    return left;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "what cannot be served is refused as Litestream refuses it") {
    begin(1);
    const std::string path = database->path();

    CHECK(refused({}).status == 400);
    CHECK(refused({}).body == "Database name required\n");
    CHECK(refused({{"path", path}, {"generation", kFirst}, {"index", "xyz"}}).status == 400);
    CHECK(refused({{"path", path}, {"generation", kFirst}, {"index", "xyz"}}).body ==
          "Invalid index query parameter\n");
    CHECK(refused({{"path", "/other.db"}}).status == 404);
    CHECK(refused({{"path", "/other.db"}}).body == "Database not found\n");
    CHECK(refused({{"path", "twice"}}).status == 409);
    HttpRequest head = request();
    head.method = "HEAD";
    CHECK(refusal(get(head)).status == 405);
}

TEST_CASE_FIXTURE(Fixture, "a database without a generation is not available, but has a page size") {
    const HttpResponse response = refused({{"path", database->path()}});

    CHECK(response.status == 503);
    CHECK(response.body == "No generation available\n");
    REQUIRE(response.headers.size() == 1);
    CHECK(response.headers[0] == std::pair<std::string, std::string>("Litestream-Page-Size", "4096"));
}

TEST_CASE_FIXTURE(Fixture, "the answer of a stream names the page size and, for ours, the protocol") {
    begin(1);
    HttpRequest ours = request();
    ours.headers = {{"upgrade", "LIBLITESTREAM/1"}};

    const HttpReply plain = get(request());
    const HttpReply upgraded = get(ours);

    CHECK(std::get<StreamReply>(plain).upgrade.empty());
    CHECK(std::get<StreamReply>(plain).headers[1].second == "application/octet-stream");
    CHECK(std::get<StreamReply>(upgraded).upgrade == "liblitestream/1");
    CHECK(std::get<StreamReply>(upgraded).headers[0].second == "4096");
}

TEST_CASE_FIXTURE(Fixture, "an e6f7c60 client gets a snapshot and only what is behind it") {
    begin(2);
    TestClient client(io, stream(request()));
    Bytes expected = snapshot_record({kFirst, 0, 0});
    check_sent(client, expected);

    database->segment(0, 3, 2);
    expected = expected + segment_record(kFirst, 0, at(2));
    check_sent(client, expected);

    database->begin_index(1);
    database->segment(1, 1, 1);
    expected = expected + segment_record(kFirst, 1, 0) + segment_record(kFirst, 1, at(0));
    check_sent(client, expected);
}

TEST_CASE_FIXTURE(Fixture, "an e6f7c60 client that comes back gets its index from the start, at once") {
    begin(2);
    TestClient client(io, stream(resuming(kFirst, "0")));

    check_sent(client, segment_record(kFirst, 0, 0) + segment_record(kFirst, 0, at(0)) +
                           segment_record(kFirst, 0, at(1)));
}

TEST_CASE_FIXTURE(Fixture, "an e6f7c60 client of another generation or ahead of the end gets a snapshot") {
    begin(1);
    for (const auto& [generation, index] : std::vector<std::pair<std::string, std::string>>{
             {kSecond, "0"}, {kFirst, "1"}, {kFirst, ""}, {"", "0"}}) {
        TestClient client(io, stream(resuming(generation, index)));
        check_sent(client, snapshot_record({kFirst, 0, 0}));
    }
}

TEST_CASE_FIXTURE(Fixture, "an e6f7c60 client that resumes before anything is stored waits for it") {
    generation(kFirst);
    database->begin_index(0);
    TestClient client(io, stream(resuming(kFirst, "0")));
    CHECK(client.peer().written().empty());

    database->segment(0, 1, 1);

    check_sent(client, segment_record(kFirst, 0, 0) + segment_record(kFirst, 0, at(0)));
}

TEST_CASE_FIXTURE(Fixture, "a new generation ends the stream of an e6f7c60 client cleanly") {
    begin(1);
    TestClient client(io, stream(resuming(kFirst, "0")));
    const Bytes expected = segment_record(kFirst, 0, 0) + segment_record(kFirst, 0, at(0));
    check_sent(client, expected);

    generation(kSecond);

    CHECK(client.peer().wait_for_end());
    CHECK((client.peer().written() == expected));
}

TEST_CASE_FIXTURE(
    Fixture,
    "H3: of a segment that shrinks while it is sent an e6f7c60 client gets no other byte and no end") {
    begin(0);
    database->segment(0, 1, 100);
    const Bytes expected = segment_record(kFirst, 0, 0) + segment_record(kFirst, 0, at(0));
    TestClient client(io, stream(resuming(kFirst, "0")), true);
    client.peer().wait_for(kStreamWriteBytes);

    std::filesystem::resize_file(store().file_of({kFirst, 0, at(0), at(100), 0, 0}), 100);
    client.peer().take();

    CHECK_FALSE(client.peer().wait_for_end());
    const Bytes written = client.peer().written();
    CHECK(written.size() < expected.size());
    CHECK(std::equal(written.begin(), written.end(), expected.begin()));
}

TEST_CASE_FIXTURE(Fixture, "the list names who is connected, how much it was sent and what is pending") {
    begin(2);
    TestClient client(io, stream(resuming(kFirst, "0")), true);
    client.peer().wait_for(1);
    CHECK(server.streams()[0].pending_bytes == at(2));

    client.peer().take();

    const auto streams = server.streams();
    REQUIRE(streams.size() == 1);
    CHECK(streams[0].database == database->path());
    CHECK(streams[0].peer == "127.0.0.1:1");
    CHECK_FALSE(streams[0].is_ours);
    CHECK(streams[0].position == Position{kFirst, 0, at(2)});
    CHECK(streams[0].commit_ms == 2);
    CHECK(streams[0].sent_bytes == client.peer().written().size());
    CHECK(streams[0].pending_bytes == 0);
}

TEST_CASE_FIXTURE(Fixture, "dropping a database closes its sessions, which let go of it") {
    begin(1);
    TestClient client(io, stream(resuming(kFirst, "0")), true);
    TestClient waiting(io, stream(request()));
    auto never_started = stream(request());
    waiting.peer().wait_for(1);

    server.drop(database->path());

    CHECK_FALSE(client.peer().wait_for_end());
    CHECK(database.use_count() == 1);
    CHECK(server.streams().empty());
    TestClient late(io, std::move(never_started));
    CHECK_FALSE(late.peer().wait_for_end());
}

TEST_CASE_FIXTURE(Fixture, "dropping a database waits for a snapshot that is being made") {
    begin(1);
    database->images().close_gate();
    TestClient client(io, stream(request()));
    database->images().wait_for_readers(1);
    std::atomic<bool> is_dropped = false;

    std::thread closing([&] {
        server.drop(database->path());
        is_dropped = true;
    });
    client.peer().wait_for_end();
    CHECK_FALSE(is_dropped);
    database->images().open_gate();
    closing.join();

    CHECK(database->images().pins() == 0);
    CHECK(database.use_count() == 1);
    CHECK(client.peer().written().empty());
}
