// The client's side of liblitestream/1.
#include "shared/stream/message_follower.h"

#include "tests/stream/client_fixture.h"

using namespace litestream;
using namespace litestream::following;

namespace {

const std::string kGeneration = "00000000000000aa";

Bytes message(MessageType type, std::uint64_t size_bytes) {
    Bytes out;
    MessageHeader{type, size_bytes}.append_to(out);
    return out;
}

struct Said {
    std::vector<MessageType> types;
    std::vector<Ack> acks;
    Hello hello;
};

// What the client wrote, message by message.
Said said_on(const ScriptedWire& wire) {
    Said said;
    ByteView rest = wire.written();
    while (!rest.empty()) {
        REQUIRE(rest.size() >= kMessageHeaderSize);
        const auto header = MessageHeader::decode(rest.first(kMessageHeaderSize));
        REQUIRE(header);
        const ByteView body = rest.subspan(kMessageHeaderSize, header->size_bytes);
        said.types.push_back(header->type);
        if (header->type == MessageType::kHello) said.hello = *Hello::decode(body);
        if (header->type == MessageType::kAck) said.acks.push_back(*Ack::decode(body));
        rest = rest.subspan(kMessageHeaderSize + body.size());
    }
    return said;
}

struct Talking : Following {
    SmallPrimary primary{kGeneration};
    Bytes welcome(bool sends_snapshot) const {
        return Welcome{1000, primary.position(), kPage, sends_snapshot}.encode();
    }
    Bytes first_contact() {
        primary.commit({{2, 3}});
        return welcome(true) + primary.snapshot_message();
    }
    void start() {
        (void)follow_messages(first_contact());
        REQUIRE(shows(primary));
    }
    void check_refused(const Bytes& bytes, const std::string& why) {
        const std::size_t before = shown().size();
        const Error error = follow_messages(bytes);
        CHECK(error.code == ErrorCode::kCorrupt);
        CHECK_MESSAGE(contains(error.message, why), error.message);
        CHECK(shown().size() == before);
    }
};

}  // namespace

TEST_CASE_FIXTURE(Talking, "an empty replica says so and takes a snapshot and what follows it") {
    const Bytes begun = first_contact();
    const std::uint64_t end = primary.position().offset;
    primary.commit({{3, 4}});
    ScriptedWire wire(begun + primary.segment_message(end));

    const Error error = follow_messages(wire);

    CHECK(error.message == "the server ended the stream");
    CHECK(said_on(wire).hello.position.empty());
    CHECK(shows(primary));
    CHECK(shown().size() == 2);
    CHECK(progress.snapshots == 1);
    CHECK(progress.upstream_end == primary.position());
    CHECK(progress.upstream_clock_ms == 1000);
    CHECK(progress.heard_ms > 0);
}

TEST_CASE_FIXTURE(Talking, "a replica that comes back names its exact position") {
    start();
    const Position before = primary.position();
    const Bytes hello = welcome(false);
    primary.commit({{3, 4}});
    ScriptedWire wire(hello + primary.segment_message(before.offset));

    (void)follow_messages(wire);

    CHECK(said_on(wire).hello.position == before);
    CHECK(shows(primary));
}

TEST_CASE_FIXTURE(Talking, "what was applied is acknowledged once nothing waits to be read") {
    const Bytes begun = first_contact();
    ScriptedWire wire(begun, ScriptedWire::End::kSilent);
    source.limits.silence_ms = 0;

    CHECK(follow_messages(wire).code == ErrorCode::kBusy);

    const Said said = said_on(wire);
    REQUIRE(said.acks.size() == 1);
    CHECK(said.acks[0].received == primary.position());
    CHECK(said.acks[0].durable == primary.position());
    CHECK(said.acks[0].applied == primary.position());
}

TEST_CASE_FIXTURE(Talking, "while more keeps coming acknowledgements are few") {
    Bytes bytes = first_contact();
    for (std::uint8_t fill = 10; fill < 40; fill++) {
        const std::uint64_t end = primary.position().offset;
        primary.commit({{2, fill}});
        bytes = bytes + primary.segment_message(end);
    }
    ScriptedWire wire(bytes);
    source.limits.ack_ms = 3'600'000;

    (void)follow_messages(wire);

    CHECK(shows(primary));
    CHECK(said_on(wire).acks.size() <= 1);
}

TEST_CASE_FIXTURE(Talking, "a heartbeat moves what is known of the server and is answered") {
    const Position end = primary.at(123456);
    ScriptedWire wire(first_contact() + Heartbeat{2000, end}.encode(), ScriptedWire::End::kSilent);
    source.limits.silence_ms = 0;

    (void)follow_messages(wire);

    CHECK(progress.upstream_end == end);
    CHECK(progress.upstream_clock_ms == 2000);
    CHECK(said_on(wire).acks.size() >= 1);
    CHECK(progress_calls == 2);  // the snapshot and the heartbeat
}

TEST_CASE_FIXTURE(Talking, "a server that hears nothing else hears that the client lives") {
    ScriptedWire wire(first_contact());
    source.limits.alive_ms = 0;

    (void)follow_messages(wire.piece(10));

    const Said said = said_on(wire);
    CHECK(std::count(said.types.begin(), said.types.end(), MessageType::kAlive) > 10);
    CHECK(shows(primary));
}

TEST_CASE_FIXTURE(Talking, "the server's error becomes the reason, as far as it can be printed") {
    const Error error = follow_messages(welcome(true) + encode_error("a new generation\x1b[2J began\nmore"));

    CHECK(error.code == ErrorCode::kIo);
    CHECK(error.message == "the server says: a new generation?[2J began");
    CHECK(follow_messages(encode_error("go away")).message == "the server says: go away");
}

TEST_CASE_FIXTURE(Talking, "a welcome with another page size is refused") {
    source.page_size = 4096;

    const Error error = follow_messages(welcome(true));

    CHECK(error.code == ErrorCode::kInput);
    CHECK(contains(error.message, "page size mismatch: replica 4096, primary 512"));
}

TEST_CASE_FIXTURE(Talking, "what comes out of turn is refused") {
    const Bytes begun = first_contact();
    const Bytes alive = message(MessageType::kAlive, 0);

    check_refused(alive, "welcome");
    check_refused(welcome(false), "without a snapshot");
    check_refused(welcome(true) + primary.segment_message(0), "out of turn");
    check_refused(welcome(true) + welcome(true), "out of turn");
    check_refused(welcome(true) + Ack{}.encode(), "out of turn");
    check_refused(welcome(true) + Hello{}.encode(), "out of turn");
    (void)follow_messages(begun);
    check_refused(welcome(false) + primary.snapshot_message(), "out of turn");
}

TEST_CASE_FIXTURE(Talking, "what is no message is refused before anything is read") {
    Bytes unknown = message(MessageType::kAlive, 0);
    unknown[3] = 99;
    const Bytes too_long = message(MessageType::kError, kMaxErrorText + 1);
    const Bytes odd_header = message(MessageType::kSnapshot, 100) + Bytes{0, 0, 0, 31};
    const Bytes long_header = message(MessageType::kSnapshot, 10) + Bytes{0, 0, 0, 32};

    for (const Bytes& bytes : {unknown, too_long, odd_header, long_header}) {
        check_refused(welcome(true) + bytes, "stream message");
    }
}

TEST_CASE_FIXTURE(Talking, "a segment that does not follow, or does not verify, is refused by name") {
    start();
    const std::uint64_t end = primary.position().offset;
    const Bytes hello = welcome(false);
    primary.commit({{2, 5}});
    Bytes damaged = primary.segment_message(end);
    damaged.back() ^= 1;
    const std::uint64_t middle = primary.position().offset;
    primary.commit({{2, 6}});
    SmallPrimary other("00000000000000bb");

    check_refused(hello + damaged, primary.at(end).to_string());
    check_refused(hello + primary.segment_message(middle), primary.at(middle).to_string());
    check_refused(hello + other.segment_message(0), "another generation");
}

TEST_CASE_FIXTURE(Talking, "a conversation that is cut anywhere shows only what is whole") {
    Bytes bytes = first_contact();
    const std::size_t first = bytes.size();
    const SmallPrimary before = primary;
    primary.commit({{3, 4}});
    bytes = bytes + primary.segment_message(before.position().offset);

    for (std::size_t size = 0; size < bytes.size(); size += 3) {
        Following replica;
        const Error error =
            replica.follow_messages(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)));
        CHECK(error.code == ErrorCode::kIo);
        CHECK(replica.shown().size() == (size < first ? 0 : 1));
        if (size >= first) CHECK(replica.shows(before));
    }
}
