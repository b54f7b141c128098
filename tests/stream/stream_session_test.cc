// A client that speaks liblitestream/1: what it is sent for its hello, and what ends the connection.
#include "shared/stream/stream_session.h"

#include <filesystem>

#include "shared/format/segment.h"
#include "tests/stream/stream_fixture.h"

using namespace litestream;

namespace {

constexpr std::size_t kWelcomeBytes = kMessageHeaderSize + 8 + kPositionSize + 8;

struct Fixture : StreamFixture {
    Bytes segment_message(const std::string& generation, std::uint64_t index, std::uint64_t start) const {
        const Bytes payload = database->stored(generation, index, start);
        Bytes bytes;
        MessageHeader{MessageType::kSegment, kPositionSize + payload.size()}.append_to(bytes);
        append_position(bytes, {generation, index, start});
        append(bytes, payload);
        return bytes;
    }
    Bytes segment_messages(std::uint64_t first, std::uint64_t last) const {
        Bytes bytes;
        for (std::uint64_t frame = first; frame <= last; frame++) {
            append(bytes, segment_message(kFirst, 0, at(frame - 1)));
        }
        return bytes;
    }
    // What follows the welcome, whose flag is checked.
    static Bytes after_welcome(TestClient& client, std::size_t size_bytes, bool has_snapshot = false) {
        const Bytes all = client.peer().wait_for(kWelcomeBytes + size_bytes);
        const auto welcome =
            Welcome::decode(ByteView(all).subspan(kMessageHeaderSize, kWelcomeBytes - kMessageHeaderSize));
        REQUIRE(welcome);
        CHECK(welcome->sends_snapshot == has_snapshot);
        CHECK(welcome->page_size == kTestPageSize);
        return {all.begin() + kWelcomeBytes, all.end()};
    }
    // The client gets exactly this behind its welcome, and no more.
    static void check_sent(TestClient& client, const Bytes& expected) {
        CHECK((after_welcome(client, expected.size()) == expected));
    }
    // The position of the snapshot that a client gets, and what follows it once `more` bytes did.
    struct Received {
        Bytes wal_header;
        Bytes database;
        Trailer trailer;
        Bytes rest;
    };
    static Received snapshot_of(TestClient& client, std::size_t more = 0) {
        Bytes bytes = after_welcome(client, kMessageHeaderSize, true);
        const auto header = MessageHeader::decode(ByteView(bytes).first(kMessageHeaderSize));
        REQUIRE(header);
        REQUIRE(header->type == MessageType::kSnapshot);
        const std::size_t end = kMessageHeaderSize + header->size_bytes;
        bytes = after_welcome(client, end + more, true);
        Received received;
        const std::size_t header_size = load_be32(bytes.data() + kMessageHeaderSize);
        const ByteView body = ByteView(bytes).subspan(kMessageHeaderSize + 4, end - kMessageHeaderSize - 4);
        received.wal_header = Bytes(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(header_size));
        MemorySource source(body.subspan(header_size));
        const auto trailer = read_payload(source, append_to(received.database));
        REQUIRE(trailer);
        received.trailer = trailer->value();
        received.rest = Bytes(bytes.begin() + static_cast<std::ptrdiff_t>(end), bytes.end());
        return received;
    }
    std::string error_of(TestClient& client, std::size_t before) {
        client.peer().wait_for_end();
        const Bytes rest = after_welcome(client, before + kMessageHeaderSize);
        const ByteView message = ByteView(rest).subspan(before);
        const auto header = MessageHeader::decode(message.first(kMessageHeaderSize));
        REQUIRE(header);
        REQUIRE(header->type == MessageType::kError);
        return std::string(as_text(message.subspan(kMessageHeaderSize)));
    }
    bool ends_at(ByteView bytes) {
        TestClient client(io, stream_of_ours());
        client.say(bytes);
        return !client.peer().wait_for_end() && client.peer().written().empty();
    }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a client goes on exactly where it is, and gets what exists at once") {
    begin(4);
    TestClient client(io, stream_of_ours());

    client.say(Hello{{kFirst, 0, at(2)}}.encode());

    check_sent(client, segment_messages(3, 4));
    database->segment(0, 5, 1);
    check_sent(client, segment_messages(3, 5));
}

TEST_CASE_FIXTURE(Fixture, "a client that has everything gets its welcome at once and then what comes") {
    begin(2);
    TestClient client(io, stream_of_ours());

    client.say(Hello{{kFirst, 0, at(2)}}.encode());
    check_sent(client, {});
    database->begin_index(1);
    database->segment(1, 1, 1);

    Bytes expected = segment_message(kFirst, 1, 0);
    append(expected, segment_message(kFirst, 1, at(0)));
    check_sent(client, expected);
}

TEST_CASE_FIXTURE(Fixture, "a client at the start of an index gets its header first") {
    begin(2);
    TestClient client(io, stream_of_ours());

    client.say(Hello{{kFirst, 0, 0}}.encode());

    Bytes expected = segment_message(kFirst, 0, 0);
    append(expected, segment_messages(1, 2));
    check_sent(client, expected);
}

TEST_CASE_FIXTURE(Fixture, "a client that does not fit gets a snapshot, then what is behind it") {
    begin(2);
    for (const Position& position : {Position{}, Position{kSecond, 0, at(1)}}) {
        TestClient client(io, stream_of_ours());
        client.say(Hello{position}.encode());

        const Received received = snapshot_of(client);

        CHECK((received.database == database->images().database()));
        CHECK(received.trailer.end() == Position{kFirst, 0, at(2)});
        CHECK(received.wal_header == database->wal_header());
        CHECK(received.rest.empty());
    }
}

TEST_CASE_FIXTURE(Fixture, "a client that is further on is not taken back by a snapshot") {
    begin(2);
    for (const Position& position : {Position{kFirst, 0, at(3)}, Position{kFirst, 1, 0}}) {
        TestClient client(io, stream_of_ours());
        client.say(Hello{position}.encode());

        client.peer().wait_for_end();

        const Bytes written = client.peer().written();
        const auto header = MessageHeader::decode(ByteView(written).first(kMessageHeaderSize));
        REQUIRE(header);
        CHECK(header->type == MessageType::kError);
        CHECK(as_text(ByteView(written).subspan(kMessageHeaderSize)).starts_with("this server is only at "));
    }
}

TEST_CASE_FIXTURE(Fixture, "commits made while a snapshot is sent come behind it") {
    begin(2);
    TestClient client(io, stream_of_ours(), true);
    client.say(Hello{}.encode());
    client.peer().wait_for(kWelcomeBytes);
    database->segment(0, 3, 1);
    client.peer().take();

    client.peer().wait_for(kWelcomeBytes + 1);
    const Received received = snapshot_of(client, 1);

    CHECK((received.rest == segment_messages(3, 3)));
}

TEST_CASE_FIXTURE(Fixture, "a snapshot of a generation without a WAL has no WAL header") {
    generation(kFirst);
    database->set_image(2);
    TestClient client(io, stream_of_ours());

    client.say(Hello{}.encode());

    CHECK(snapshot_of(client).wal_header.empty());
}

TEST_CASE_FIXTURE(Fixture, "a busy database is tried again until it can be pinned") {
    begin(1);
    database->images().set_busy(2);
    TestClient client(io, stream_of_ours());

    client.say(Hello{}.encode());

    CHECK((snapshot_of(client).database == database->images().database()));
}

TEST_CASE_FIXTURE(Fixture, "a client that reads nothing holds neither the pin nor much memory") {
    begin(1);
    for (std::uint64_t frame = 2; frame <= 200; frame += 100) database->segment(0, frame, 100);
    TestClient client(io, stream_of_ours(), true);
    client.say(Hello{{kFirst, 0, at(1)}}.encode());

    client.peer().take();
    client.peer().wait_for(kWelcomeBytes + 1);
    CHECK(client.peer().largest() <= kStreamWriteBytes);
    for (int i = 0; i < 8; i++) client.peer().take();

    Bytes expected = segment_message(kFirst, 0, at(1));
    append(expected, segment_message(kFirst, 0, at(101)));
    check_sent(client, expected);
    CHECK(client.peer().largest() <= kStreamWriteBytes + kMessageHeaderSize + kPositionSize);
}

TEST_CASE_FIXTURE(Fixture, "a slow client waits for its snapshot while the database is free") {
    begin(1);
    TestClient slow(io, stream_of_ours(), true);
    TestClient quick(io, stream_of_ours());
    slow.say(Hello{}.encode());
    quick.say(Hello{}.encode());
    snapshot_of(quick);
    slow.peer().take();

    slow.peer().wait_for(kWelcomeBytes + 1);

    CHECK(database->images().pins() == 0);
    const auto entries = list_directory(store().path());
    REQUIRE(entries);
    const auto is_spool = [](const DirectoryEntry& entry) { return entry.name.ends_with(".tmp"); };
    CHECK(std::none_of(entries->begin(), entries->end(), is_spool));
}

TEST_CASE_FIXTURE(Fixture, "a segment that is gone or damaged ends the connection with a word") {
    begin(3);
    const std::string path = store().file_of({kFirst, 0, at(1), at(2), 0, 0});
    SUBCASE("gone") { REQUIRE(remove_file(path)); }
    SUBCASE("damaged") { std::filesystem::resize_file(path, 100); }
    TestClient client(io, stream_of_ours());

    client.say(Hello{{kFirst, 0, 32}}.encode());

    const Bytes first = segment_messages(1, 1);
    const std::string error = error_of(client, first.size());
    const bool is_said = error.find("is not kept here any more") != std::string::npos ||
                         error.find("is damaged") != std::string::npos;
    CHECK(is_said);
    TestClient again(io, stream_of_ours());
    again.say(Hello{{kFirst, 0, at(1)}}.encode());
    snapshot_of(again);
}

TEST_CASE_FIXTURE(Fixture, "a new generation ends the connection behind the rest of the old one") {
    begin(2);
    generation(kSecond);
    TestClient client(io, stream_of_ours());

    client.say(Hello{{kFirst, 0, at(1)}}.encode());

    const Bytes rest = segment_messages(2, 2);
    CHECK(error_of(client, rest.size()) == "a new generation began: " + kSecond + " (a test)");
    const Bytes sent = after_welcome(client, rest.size());
    CHECK(std::equal(rest.begin(), rest.end(), sent.begin()));
    database->set_image(2);
    TestClient again(io, stream_of_ours());
    again.say(Hello{{kFirst, 0, at(2)}}.encode());
    CHECK(snapshot_of(again).trailer.generation == kSecond);
}

TEST_CASE_FIXTURE(Fixture, "what no client says ends the connection") {
    begin(1);
    const Bytes hello = Hello{}.encode();
    Bytes twice = Hello{{kFirst, 0, at(1)}}.encode();
    append(twice, twice);

    CHECK(ends_at(Bytes(16, 0xFF)));
    CHECK(ends_at(Ack{}.encode()));
    CHECK(ends_at(Heartbeat{}.encode()));
    CHECK(ends_at(encode_error("no")));
    CHECK(ends_at(Bytes(kMaxBytesBeforeHello + 1)));
    CHECK(ends_at(twice));
}

TEST_CASE_FIXTURE(Fixture, "a hello may come byte by byte, after signs of life") {
    begin(1);
    TestClient client(io, stream_of_ours());
    Bytes said;
    MessageHeader{MessageType::kAlive, 0}.append_to(said);
    append(said, Hello{{kFirst, 0, 32}}.encode());

    for (const std::uint8_t& byte : said) client.say({&byte, 1});

    check_sent(client, segment_messages(1, 1));
}

TEST_CASE_FIXTURE(Fixture, "acknowledgements are remembered and told") {
    begin(2);
    std::string told;
    server.set_ack_listener(
        [&](const std::string& path, const Position& applied) { told = path + " " + applied.to_string(); });
    TestClient client(io, stream_of_ours());
    client.say(Hello{{kFirst, 0, at(1)}}.encode());
    check_sent(client, segment_messages(2, 2));
    CHECK(server.streams()[0].pending_bytes == at(2) - at(1));

    const Position applied{kFirst, 0, at(2)};
    client.say(Ack{applied, applied, applied}.encode());

    CHECK(told == database->path() + " " + applied.to_string());
    CHECK(server.streams()[0].position == applied);
    CHECK(server.streams()[0].pending_bytes == 0);
    CHECK(server.streams()[0].is_ours);
}

TEST_CASE_FIXTURE(Fixture,
                  "silence before and after the hello ends the connection; ours is broken by heartbeats") {
    begin(1);
    const auto session = [&](const StreamTimes& times) {
        auto hub = std::make_shared<StreamHub>(io);
        hub->snapshots = std::make_shared<SnapshotQueue>(io, scheduler);
        hub->times = times;
        return std::make_shared<StreamSession>(std::move(hub), database, "peer", true, std::nullopt);
    };
    TestClient mute(io, session({20, 60'000, 1}));
    CHECK_FALSE(mute.peer().wait_for_end());

    TestClient client(io, session({60'000, 60'000, 1}));
    client.say(Hello{{kFirst, 0, at(1)}}.encode());
    const Bytes rest = after_welcome(client, 2 * (kMessageHeaderSize + 8 + kPositionSize));
    const auto heartbeat = Heartbeat::decode(ByteView(rest).subspan(kMessageHeaderSize, 8 + kPositionSize));
    REQUIRE(heartbeat);
    CHECK(heartbeat->end == Position{kFirst, 0, at(1)});

    TestClient fading(io, session({60'000, 20, 60'000}));
    fading.say(Hello{{kFirst, 0, at(1)}}.encode());
    CHECK_FALSE(fading.peer().wait_for_end());
}

TEST_CASE_FIXTURE(Fixture,
                  "a client that takes longer than the store may keep what follows loses the connection") {
    begin(1);
    TestClient client(io, stream_of_ours(), true);
    client.say(Hello{}.encode());
    client.peer().take();
    client.peer().wait_for(kWelcomeBytes + 1);
    for (const std::uint64_t index : {1, 2, 3}) {
        database->begin_index(index);
        database->segment(index, 1, 1);
    }
    store().set_cap(0);
    store().trim();

    client.peer().take();
    client.peer().take();

    CHECK(client.peer().wait_for_end());
    const Bytes written = client.peer().written();
    CHECK(as_text(written).ends_with("is not kept here any more"));
}
