// What an e6f7c60 server sends, and what of it a replica shows.
#include "shared/stream/record_follower.h"

#include "tests/stream/client_fixture.h"

using namespace litestream;
using namespace litestream::following;

namespace {

const std::string kFirst = "00000000000000aa";
const std::string kSecond = "f0000000000000bb";

// A replica that has shown the end of the first index and follows the second.
struct Streaming : Following {
    SmallPrimary primary{kFirst};
    Bytes sent;
    std::size_t shown_before = 0;

    Streaming() {
        const Bytes file = primary.file();
        primary.commit({{1, 2}, {2, 3}});
        sent = primary.snapshot_record(file) + primary.segment_record(0);
        primary.next_index();
        primary.commit({{2, 4}});
        sent = sent + primary.segment_record(0);
        (void)follow_records(sent);
        REQUIRE(shows(primary));
        shown_before = shown().size();
    }
    // What comes next is refused, and nothing of it shows.
    void check_refused(const Bytes& bytes, const std::string& why) {
        const Error error = follow_records(bytes);
        CHECK(error.code == ErrorCode::kCorrupt);
        CHECK_MESSAGE(contains(error.message, why), error.message);
        CHECK(shown().size() == shown_before);
    }
    Bytes changed(std::uint64_t from, std::size_t at) const {
        Bytes wal = primary.wal(from);
        wal[at] ^= 1;
        return primary.record(StreamRecord::Type::kSegment, from, lz4(wal));
    }
};

}  // namespace

TEST_CASE_FIXTURE(Following, "a snapshot shows only once the next index has begun") {
    SmallPrimary primary(kFirst);
    const Bytes file = primary.file();
    primary.commit({{1, 2}, {2, 3}});
    const Bytes torn = primary.snapshot_record(file) + primary.segment_record(0);
    const SmallPrimary first = primary;
    primary.next_index();

    CHECK(follow_records(torn).message == "the server ended the stream");
    CHECK(shown().empty());
    CHECK(follow_records(torn + primary.header_record()).code == ErrorCode::kIo);

    CHECK(shows(first));
    CHECK(shown().size() == 1);
    CHECK(checks == 1);
    CHECK(progress.snapshots == 2);
    CHECK(leftovers().empty());
}

TEST_CASE_FIXTURE(Following, "a snapshot shows after a second of silence") {
    SmallPrimary primary(kFirst);
    const Bytes file = primary.file();
    primary.commit({{2, 3}});
    const Bytes torn = primary.snapshot_record(file) + primary.segment_record(0);
    const std::uint64_t end = primary.position().offset;
    primary.commit({{3, 4}});
    ScriptedWire wire(torn + primary.segment_record(end));
    wire.silence(torn.size());

    CHECK(follow_records(wire).code == ErrorCode::kIo);

    REQUIRE(shown().size() == 2);
    CHECK(shown().front().position == primary.at(end));
    CHECK(shows(primary));
    // One that came, and one that did not come behind each of the two states.
    CHECK(std::count(wire.waits().begin(), wire.waits().end(), source.limits.settle_ms) == 3);
}

TEST_CASE_FIXTURE(Streaming, "a pause behind what moved the replica is told once") {
    const std::uint64_t end = primary.position().offset;
    primary.commit({{2, 5}});
    ScriptedWire wire(primary.segment_record(end), ScriptedWire::End::kSilent);
    const int calls_before = progress_calls;

    const Error error = follow_records(wire);

    CHECK(error.message == "nothing came for 1h");
    CHECK(progress_calls == calls_before + 2);
    const std::vector<std::int64_t> silences{source.limits.settle_ms, source.limits.quiet_ms};
    CHECK(std::vector(wire.waits().end() - 2, wire.waits().end()) == silences);
}

TEST_CASE_FIXTURE(Following, "frames that an idle server held back show together with what they may undo") {
    SmallPrimary primary(kFirst);
    primary.commit({{2, 3}});
    const std::uint64_t middle = primary.position().offset;
    const SmallPrimary before = primary;
    primary.commit({{2, 5}});
    const Bytes copy = primary.snapshot_record(primary.file());
    const Bytes held = before.segment_record(0) + primary.segment_record(middle);
    ScriptedWire wire(copy + held);
    wire.silence(copy.size()).silence(copy.size() + held.size());

    CHECK(follow_records(wire).code == ErrorCode::kIo);

    REQUIRE(shown().size() == 2);
    CHECK(shown()[0].position == primary.at(0));
    CHECK(shown()[0].sha == sha256(primary.file()));
    CHECK(shows(primary));
}

TEST_CASE_FIXTURE(Following, "a snapshot that does not pass its check waits for more frames") {
    SmallPrimary primary(kFirst);
    const Bytes file = primary.file();
    primary.commit({{2, 3}});
    const Bytes torn = primary.snapshot_record(file) + primary.segment_record(0);
    const std::uint64_t end = primary.position().offset;
    primary.commit({{2, 4}});
    const Bytes rest = primary.segment_record(end);
    source.check = [this](const std::string&) { return checks++ == 0 ? Status(corrupt("torn")) : Status(); };
    ScriptedWire wire(torn + rest);
    wire.silence(torn.size(), 3).silence(torn.size() + rest.size());

    CHECK(follow_records(wire).code == ErrorCode::kIo);

    CHECK(checks == 2);
    CHECK(shown().size() == 1);
    CHECK(shows(primary));
}

TEST_CASE_FIXTURE(Following, "a snapshot that never passes its check is given up") {
    SmallPrimary primary(kFirst);
    source.check = [](const std::string&) { return Status(corrupt("page 7 is torn")); };
    ScriptedWire wire(primary.snapshot_record(primary.file()), ScriptedWire::End::kSilent);

    const Error error = follow_records(wire);

    CHECK(error.code == ErrorCode::kIo);
    CHECK(contains(error.message, "page 7 is torn"));
    CHECK(shown().empty());
    CHECK(leftovers().empty());
}

TEST_CASE_FIXTURE(Following, "a check that is interrupted ends it all") {
    SmallPrimary primary(kFirst);
    source.check = [](const std::string&) { return Status(Error{ErrorCode::kInterrupt, "stop"}); };
    ScriptedWire wire(primary.snapshot_record(primary.file()), ScriptedWire::End::kSilent);

    CHECK(follow_records(wire).code == ErrorCode::kInterrupt);
}

TEST_CASE_FIXTURE(Following, "a snapshot that does not pass at the end of its index is refused") {
    SmallPrimary primary(kFirst);
    const Bytes torn = primary.snapshot_record(primary.file()) + primary.header_record();
    primary.next_index();
    source.check = [](const std::string&) { return Status(corrupt("torn")); };

    CHECK(follow_records(torn + primary.header_record()).code == ErrorCode::kCorrupt);

    CHECK(shown().empty());
}

TEST_CASE_FIXTURE(Streaming, "U10: an index that is sent again is passed over up to where the replica is") {
    const std::uint64_t end = primary.position().offset;
    const Bytes again = primary.segment_record(0);
    primary.commit({{3, 5}});

    (void)follow_records(again + primary.segment_record(end));

    CHECK(shown().size() == shown_before + 1);
    CHECK(shows(primary));
}

TEST_CASE_FIXTURE(Streaming, "U11: a segment that leaves a gap is refused by name") {
    primary.commit({{2, 5}});
    const std::uint64_t end = primary.position().offset;
    primary.commit({{2, 6}});

    check_refused(primary.segment_record(end), primary.at(end).to_string());
}

TEST_CASE_FIXTURE(Streaming, "U11: an index that is skipped is refused by name") {
    primary.next_index();
    primary.next_index();

    check_refused(primary.header_record(), primary.at(0).to_string());
}

TEST_CASE_FIXTURE(Streaming, "U11: another generation without a snapshot is refused by name") {
    const SmallPrimary other(kSecond, 1);

    check_refused(other.header_record(), kSecond);
}

TEST_CASE_FIXTURE(Following, "U11: a gap behind a snapshot is refused before anything shows") {
    SmallPrimary primary(kFirst);
    const Bytes snapshot = primary.snapshot_record(primary.file());
    const Bytes header = primary.header_record();
    primary.commit({{2, 3}});
    const std::uint64_t middle = primary.position().offset;
    primary.commit({{2, 4}});
    const Bytes gap = primary.segment_record(middle);
    const Bytes all = primary.segment_record(0);
    SmallPrimary next = primary;
    next.next_index();
    SmallPrimary later = next;
    later.next_index();

    for (const Bytes& bytes :
         {snapshot + header + gap, snapshot + gap, snapshot + all + later.header_record(),
          snapshot + next.header_record(), header, snapshot + SmallPrimary(kSecond).header_record(),
          snapshot + header + header}) {
        CHECK(follow_records(bytes).code == ErrorCode::kCorrupt);
    }
    CHECK(shown().empty());
}

TEST_CASE_FIXTURE(Following, "U12: a snapshot that is cut at a page boundary is no snapshot") {
    SmallPrimary primary(kFirst);
    primary.commit({{2, 3}, {3, 4}});
    const Bytes whole = primary.snapshot_record(primary.file());

    for (const std::size_t pages : {0, 1, 2}) {
        const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(40 + pages * kPage));
        CHECK(follow_records(cut).message == "the connection ended in the middle of a snapshot");
    }
    CHECK(shown().empty());
    CHECK(feed.state().position.empty());
    CHECK(leftovers().empty());
}

TEST_CASE_FIXTURE(Following, "a snapshot that is no database of the named page size is refused") {
    SmallPrimary primary(kFirst);
    Bytes no_magic = primary.file();
    no_magic[0] = 'X';
    Bytes other_size = primary.file();
    other_size[16] = 4;
    Bytes odd = primary.file();
    odd.push_back(0);

    for (const Bytes& file : {no_magic, other_size, odd, Bytes()}) {
        CHECK(follow_records(primary.snapshot_record(file)).code == ErrorCode::kCorrupt);
    }
    CHECK(shown().empty());
}

TEST_CASE_FIXTURE(Streaming, "U13: an empty payload is refused") {
    const std::uint64_t end = primary.position().offset;

    check_refused(primary.record(StreamRecord::Type::kSegment, end, {}), "lz4");
}

TEST_CASE_FIXTURE(Streaming, "U13: lz4 that ends at a block's boundary is refused") {
    const std::uint64_t end = primary.position().offset;
    primary.commit({{2, 5}});
    Bytes payload = lz4(primary.wal(end));
    payload.resize(payload.size() - 8);  // end mark and checksum

    check_refused(primary.record(StreamRecord::Type::kSegment, end, payload), "lz4");
}

TEST_CASE_FIXTURE(Streaming, "U14: the checksum of the content is verified before any of it shows") {
    const std::uint64_t end = primary.position().offset;
    primary.commit({{2, 5}});
    Bytes payload = lz4(primary.wal(end));
    payload.back() ^= 1;

    check_refused(primary.record(StreamRecord::Type::kSegment, end, payload), "lz4");
}

TEST_CASE_FIXTURE(Streaming, "U15: a frame of another salt or checksum is refused") {
    const std::uint64_t end = primary.position().offset;
    primary.commit({{2, 5}});

    check_refused(changed(end, 9), "salt");
    check_refused(changed(end, 17), "checksum");
    check_refused(changed(end, kFrameHeaderSize + 5), "checksum");
}

TEST_CASE_FIXTURE(Following, "U15: behind a snapshot too") {
    SmallPrimary primary(kFirst);
    const Bytes snapshot = primary.snapshot_record(primary.file());
    primary.commit({{2, 3}});
    for (const std::size_t at : {3u, 17u, 25u, 41u, 57u, 100u}) {
        Bytes wal = primary.wal(0);
        wal[at] ^= 1;
        const Bytes damaged = primary.record(StreamRecord::Type::kSegment, 0, lz4(wal));
        CHECK(follow_records(snapshot + damaged).code == ErrorCode::kCorrupt);
    }
    CHECK(shown().empty());
}

TEST_CASE_FIXTURE(Streaming, "U16: a length beyond the limit is refused before anything is read") {
    Bytes record = primary.segment_record(0);
    store_be64(&record[32], kMaxSegmentPayload + 1);

    check_refused(record, "length");
}

TEST_CASE_FIXTURE(Streaming, "U17: a peer that falls silent within a record is given up") {
    const std::uint64_t end = primary.position().offset;
    primary.commit({{2, 5}});
    Bytes record = primary.segment_record(end);
    record.pop_back();
    ScriptedWire wire(record, ScriptedWire::End::kSilent);

    const Error error = follow_records(wire);

    CHECK(error.code == ErrorCode::kBusy);
    CHECK(wire.waits().back() == source.limits.silence_ms);
    CHECK(shown().size() == shown_before);
}

TEST_CASE_FIXTURE(Streaming, "U18: a snapshot of another generation takes the place of what is there") {
    SmallPrimary other(kSecond);
    other.commit({{2, 9}});
    const SmallPrimary end = other;
    const Bytes begun = other.snapshot_record(other.file()) + other.segment_record(0);
    other.next_index();

    (void)follow_records(begun + other.header_record());

    CHECK(shows(end));
}
