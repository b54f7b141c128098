// Every commit of a replica of ours can be restored, by position and by time, and nothing that is no commit.
#include <doctest/doctest.h>

#include <random>

#include "shared/format/path.h"
#include "shared/format/segment.h"
#include "tests/replica/replica_files.h"
#include "tests/support/replica_builder.h"

namespace litestream {
namespace {

constexpr const char* kGeneration = "00000000000000a1";

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

// A history from a seed: several indexes, snapshots anywhere, segments of one or more commits.
void build_randomly(ReplicaBuilder& builder, std::uint32_t seed) {
    std::mt19937 random(seed);
    const auto below = [&random](std::uint32_t limit) {
        return static_cast<std::uint32_t>(random() % limit);
    };
    std::uint32_t pages = 1;
    bool has_snapshot = below(2) == 0;
    if (has_snapshot) builder.publish_snapshot();
    for (int index = 0; index < 4; ++index) {
        const std::uint32_t commits = 1 + below(6);
        const std::uint32_t snapshot_at = below(10);
        for (std::uint32_t i = 0; i < commits; ++i) {
            std::vector<ReplicaBuilder::Write> writes = {{1, 0}};
            const std::uint32_t grown = std::max(3u, pages + below(5)) - 2;
            for (std::uint32_t page_no = pages + 1; page_no <= grown; ++page_no) {
                writes.push_back({page_no, static_cast<std::uint8_t>(random())});
            }
            writes.push_back({1 + below(grown), static_cast<std::uint8_t>(random())});
            builder.commit(writes, pages = grown);
            if (below(2) == 0) builder.publish_segment();
            if (i == snapshot_at && !has_snapshot) builder.publish_snapshot();
        }
        builder.next_index();
        has_snapshot = false;
    }
    builder.commit({{1, 1}});
    builder.publish_snapshot();
}

struct TwoIndexes : ReplicaFiles {
    ReplicaBuilder builder{client(), kGeneration, 512};

    // Snapshot in the middle of index 1; all commits of an index in one segment.
    TwoIndexes() {
        builder.publish_snapshot();
        builder.commit({{1, 1}, {2, 1}});
        builder.commit({{2, 2}});
        builder.next_index();
        builder.commit({{1, 3}, {3, 3}});
        builder.publish_snapshot();
        builder.commit({{3, 4}});
        builder.publish_segment();
    }
    const ReplicaBuilder::State& state(std::size_t place) const { return builder.states()[place]; }
};

}  // namespace

TEST_CASE("every commit restores exactly, wherever the snapshots and the cuts are") {
    for (std::uint32_t seed = 1; seed <= 8; ++seed) {
        INFO(seed);
        ReplicaFiles files;
        ReplicaBuilder builder(files.client(), kGeneration, 512);
        build_randomly(builder, seed);
        const auto snapshots = files.client().snapshots(kGeneration);
        const Position oldest = files.client().trailer((*snapshots)[0].name).operator*()->end();

        for (const ReplicaBuilder::State& state : builder.states()) {
            INFO(state.position.to_string());
            const Restored by_position = files.restore_position(state.position);
            const Restored by_time = files.restore_time(state.time_ms + 499);
            if (state.position.before(oldest)) {
                CHECK(by_position.is_refused());
                CHECK(by_time.is_refused());
                continue;
            }
            if (state.position.offset == 0 && oldest.offset == 0) {
                CHECK(by_position.database == state.database);
                continue;  // its time is that of the snapshot, half a second later
            }
            REQUIRE_MESSAGE(by_position.result, by_position.message());
            CHECK(by_position.database == state.database);
            CHECK(by_position.position() == state.position);
            REQUIRE_MESSAGE(by_time.result, by_time.message());
            CHECK(by_time.database == state.database);
            CHECK(by_time.position() == state.position);
        }
        CHECK(files.restore().database == builder.last().database);
    }
}

TEST_CASE("an index restores to its end") {
    TwoIndexes replica;

    CHECK(replica.restore_index(0).position() == replica.state(2).position);
    CHECK(replica.restore_index(0).database == replica.state(2).database);
    CHECK(replica.restore_index(1).position() == replica.state(4).position);
    CHECK(replica.restore_index(2).is_refused());
    CHECK(contains(replica.restore_index(2).message(), "is after the end of generation"));
}

TEST_CASE("a position that is no commit is refused and its neighbours are named") {
    TwoIndexes replica;
    Position inside = replica.state(1).position;
    inside.offset += 8;

    const Restored restored = replica.restore_position(inside);

    REQUIRE(restored.is_refused());
    CHECK(contains(restored.message(), inside.to_string() + " is not the end of a commit"));
    CHECK(contains(restored.message(), "nearest before is " + replica.state(1).position.to_string()));
    CHECK(contains(restored.message(), "nearest after " + replica.state(2).position.to_string()));
}

TEST_CASE("a position behind the end of its index is refused") {
    TwoIndexes replica;
    Position behind = replica.state(2).position;
    behind.offset += 536;

    const Restored restored = replica.restore_position(behind);

    REQUIRE(restored.is_refused());
    CHECK(contains(restored.message(), "nearest before is " + replica.state(2).position.to_string()));
}

TEST_CASE("a position or an index behind everything names what is available") {
    TwoIndexes replica;
    Position behind = replica.builder.position();
    behind.index += 3;

    const Restored restored = replica.restore_position(behind);

    REQUIRE(restored.is_refused());
    CHECK(contains(restored.message(), behind.to_string() + " is after the end"));
    CHECK(contains(restored.message(), "to " + replica.builder.position().to_string()));
}

TEST_CASE("what is before the oldest snapshot is refused") {
    TwoIndexes replica;
    replica.remove(snapshot_path(kGeneration, 0));

    const Restored position = replica.restore_position(replica.state(1).position);
    const Restored time = replica.restore_time(replica.state(2).time_ms);
    const Restored index = replica.restore_index(0);

    for (const Restored* restored : {&position, &time, &index}) {
        REQUIRE(restored->is_refused());
        CHECK(contains(restored->message(), "is before the oldest snapshot"));
        CHECK(contains(restored->message(), "the oldest snapshot is of 2023-11-14T22:13:23.500Z"));
    }
}

TEST_CASE("the commit of the oldest snapshot is known by its own time") {
    TwoIndexes replica;
    replica.remove(snapshot_path(kGeneration, 0));

    const Restored restored = replica.restore_time(replica.state(3).time_ms);

    REQUIRE_MESSAGE(restored.result, restored.message());
    CHECK(restored.database == replica.state(3).database);
}

TEST_CASE("a snapshot at the start of an index needs no segments") {
    ReplicaFiles files;
    ReplicaBuilder builder(files.client(), kGeneration, 4096);
    builder.publish_snapshot();

    const Restored restored = files.restore();

    REQUIRE_MESSAGE(restored.result, restored.message());
    CHECK(restored.database == builder.last().database);
    CHECK(restored.position() == Position{kGeneration, 0, 0});
}

TEST_CASE("a snapshot between the WAL header and its first frame needs no segments") {
    ReplicaFiles files;
    ReplicaBuilder builder(files.client(), kGeneration, 512);
    builder.commit({{1, 1}});
    builder.publish_segment();
    const Bytes database = builder.states()[0].database;
    Trailer trailer;
    trailer.kind = Trailer::Kind::kSnapshot;
    trailer.generation = kGeneration;
    trailer.start_offset = trailer.end_offset = kWalHeaderSize;
    trailer.page_size = 512;
    trailer.page_count = 1;
    trailer.commits = {{kWalHeaderSize, 1'600'000'000'000}};
    REQUIRE(files.client().publish(snapshot_path(kGeneration, 0), [&](const Sink& sink) -> Status {
        PayloadWriter writer(sink);
        LITESTREAM_TRY(writer.write(database));
        return writer.finish(&trailer);
    }));

    CHECK(files.restore().database == builder.last().database);
    CHECK(files.restore_position({kGeneration, 0, kWalHeaderSize}).database == database);
    files.remove(segment_path(kGeneration, 0, 0));
    CHECK(files.restore().position().offset == kWalHeaderSize);
}

TEST_CASE("a snapshot need not know the checksum at its position") {
    ReplicaFiles files;
    ReplicaBuilder builder(files.client(), kGeneration, 512);
    builder.commit({{1, 1}});
    builder.publish_snapshot(ReplicaBuilder::Checksum::kUnknown);

    CHECK(files.restore().database == builder.last().database);
}

TEST_CASE("pages that nobody wrote when the database grew again are zero or of their last life") {
    ReplicaFiles files;
    ReplicaBuilder builder(files.client(), kGeneration, 512);
    builder.publish_snapshot();
    builder.commit({{1, 1}, {2, 2}, {3, 3}, {4, 4}});
    builder.commit({{1, 1}}, 1);
    builder.next_index();
    builder.commit({{4, 9}}, 4);
    builder.publish_segment();

    const Restored restored = files.restore();

    REQUIRE_MESSAGE(restored.result, restored.message());
    CHECK(restored.database == builder.last().database);
    CHECK(restored.database[512] == 0);
    CHECK(restored.database.back() == 9);
}

TEST_CASE("times choose among generations") {
    TwoIndexes replica;
    ReplicaBuilder successor(replica.client(), "00000000000000b2", 512, ReplicaBuilder::Trailers::kYes,
                             kGeneration);
    for (int i = 0; i < 20; ++i) successor.commit({{1, 9}});
    successor.publish_snapshot();

    CHECK(replica.restore_time(replica.state(1).time_ms - 400).database == replica.state(0).database);
    CHECK(replica.restore_time(successor.last().time_ms).database == successor.last().database);
}

}  // namespace litestream
