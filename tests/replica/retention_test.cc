// Which files go, in which order, and that every moment in between restores.
#include "shared/replica/retention.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "shared/format/path.h"
#include "tests/replica/primary.h"
#include "tests/support/replica_builder.h"

namespace litestream {
namespace {

constexpr const char* kOld = "00000000000000a1";
constexpr const char* kCurrent = "00000000000000b2";

const std::atomic<bool> kGoOn = false;

SnapshotFile snapshot(const std::string& generation, std::uint64_t index, std::int64_t created_ms) {
    return {{generation, index, 1, created_ms, snapshot_path(generation, index)}, std::nullopt};
}

SegmentFile segment(const std::string& generation, std::uint64_t index) {
    return {{generation, index, 0, 1, 0, segment_path(generation, index, 0)}, std::nullopt};
}

// Indexes 0 to 4 with a segment each.
Generation generation(const std::string& name, std::vector<SnapshotFile> snapshots) {
    Generation result;
    result.name = name;
    result.snapshots = std::move(snapshots);
    for (std::uint64_t index = 0; index < 5; ++index) result.segments.push_back(segment(name, index));
    return result;
}

struct TwoGenerations : ReplicaFiles {
    ReplicaBuilder old{client(), kOld, 512};
    ReplicaBuilder current{client(), kCurrent, 512, ReplicaBuilder::Trailers::kYes, kOld};

    TwoGenerations() {
        fill(old);
        fill(current);
    }

    // Three indexes, each with two segments and a snapshot between them.
    static void fill(ReplicaBuilder& builder) {
        for (std::uint8_t index = 0; index < 3; ++index) {
            if (index > 0) builder.next_index();
            builder.commit({{1, index}, {2, index}});
            builder.publish_snapshot();
            builder.commit({{1, index}, {3, index}});
            builder.publish_segment();
        }
    }

    // What keeps the last two snapshots of the current generation, and nothing else.
    RetentionPlan plan() {
        auto generations = *load_snapshots(client());
        for (Generation& generation : generations) {
            for (SnapshotFile& file : generation.snapshots) {
                const bool is_kept = generation.name == kCurrent && file.info.index > 0;
                file.trailer->commits.back().time_ms = is_kept ? 100 : 0;
            }
        }
        return plan_retention(generations, kCurrent, 100);
    }

    void check_restores(const ReplicaBuilder& builder, std::uint64_t from_index) {
        for (const auto& state : builder.states()) {
            const bool is_kept = state.position.index > from_index || state.position.offset > 32 + 2 * 536;
            if (state.position.index < from_index || !is_kept) continue;
            const Restored restored = restore_position(state.position);
            REQUIRE_MESSAGE(restored.result, restored.message());
            CHECK(restored.database == state.database);
        }
    }
};

}  // namespace

TEST_CASE("what is young enough stays, with everything from its index on") {
    const auto plan = plan_retention(
        {generation(kCurrent,
                    {snapshot(kCurrent, 1, 10), snapshot(kCurrent, 3, 100), snapshot(kCurrent, 4, 200)})},
        kCurrent, 100);

    CHECK_FALSE(plan.wants_snapshot);
    REQUIRE(plan.removals.size() == 1);
    CHECK(plan.removals[0].snapshots == std::vector<std::string>{snapshot_path(kCurrent, 1)});
    CHECK(plan.removals[0].segments == std::vector<std::string>{segment_path(kCurrent, 0, 0),
                                                                segment_path(kCurrent, 1, 0),
                                                                segment_path(kCurrent, 2, 0)});
}

TEST_CASE("the newest snapshot of the current generation stays however old it is") {
    const auto plan = plan_retention(
        {generation(kCurrent, {snapshot(kCurrent, 0, 10), snapshot(kCurrent, 2, 20)})}, kCurrent, 100);

    CHECK(plan.wants_snapshot);
    REQUIRE(plan.removals.size() == 1);
    CHECK(plan.removals[0].snapshots == std::vector<std::string>{snapshot_path(kCurrent, 0)});
    CHECK(plan.removals[0].segments.size() == 2);
}

TEST_CASE("another generation goes whole once none of its snapshots is young enough") {
    const auto plan = plan_retention({generation(kOld, {snapshot(kOld, 0, 10), snapshot(kOld, 2, 99)}),
                                      generation(kCurrent, {snapshot(kCurrent, 0, 100)})},
                                     kCurrent, 100);

    REQUIRE(plan.removals.size() == 2);
    CHECK(plan.removals[0].generation == kOld);
    CHECK(plan.removals[0].snapshots.size() == 2);
    CHECK(plan.removals[0].segments.size() == 5);
    CHECK(plan.removals[1].snapshots.empty());
    CHECK(plan.removals[1].segments.empty());
}

TEST_CASE("a current generation without a snapshot loses nothing") {
    const auto plan = plan_retention({generation(kCurrent, {})}, kCurrent, 100);

    CHECK(plan.wants_snapshot);
    REQUIRE(plan.removals.size() == 1);
    CHECK(plan.removals[0].segments.empty());
}

TEST_CASE("whatever stays restores at any moment of the removal") {
    TwoGenerations replica;
    int removed = 0;
    WatchedClient watched(replica.client(), [&](const std::string& what, const std::string&) {
        replica.check_restores(replica.current, 1);
        CHECK(replica.restore().position() == replica.current.position());
        removed += what == "remove" ? 1 : 0;
        return Status();
    });

    const Status status = carry_out(watched, replica.plan(), kGoOn);

    REQUIRE(status);
    CHECK(removed == 9 + 3);
    replica.check_restores(replica.current, 1);
    CHECK_FALSE(file_exists(join_path(replica.root(), generation_path(kOld))));
    CHECK_FALSE(file_exists(join_path(replica.root(), index_path(kCurrent, 0))));
    CHECK(replica.restore_index(0).is_refused());
}

TEST_CASE("a removal that breaks off anywhere leaves whole generations or none that restores wrongly") {
    for (int limit = 0; limit < 13; ++limit) {
        CAPTURE(limit);
        TwoGenerations replica;
        int left = limit;
        WatchedClient watched(replica.client(), [&left](const std::string&, const std::string&) {
            return left-- > 0 ? Status() : Status(Error{ErrorCode::kIo, "the disk is gone"});
        });

        static_cast<void>(carry_out(watched, replica.plan(), kGoOn));

        replica.check_restores(replica.current, 1);
        for (const auto& state : replica.old.states()) {
            const Restored restored = replica.restore_position(state.position);
            if (restored.result) CHECK(restored.database == state.database);
        }
        REQUIRE(carry_out(replica.client(), replica.plan(), kGoOn));
        CHECK_FALSE(file_exists(join_path(replica.root(), generation_path(kOld))));
    }
}

TEST_CASE("segments stay while a snapshot that needs them could not be removed") {
    TwoGenerations replica;
    const std::string stuck = snapshot_path(kCurrent, 0);
    WatchedClient watched(replica.client(), [&](const std::string&, const std::string& name) {
        return name == stuck ? Status(Error{ErrorCode::kIo, name + ": permission denied"}) : Status();
    });

    const Status status = carry_out(watched, replica.plan(), kGoOn);

    REQUIRE_FALSE(status);
    CHECK(status.error().message == stuck + ": permission denied");
    replica.check_restores(replica.current, 0);
    CHECK_FALSE(file_exists(join_path(replica.root(), generation_path(kOld))));
}

TEST_CASE("what is not ours by name stays, and its folder with it") {
    TwoGenerations replica;
    const std::string foreign = wal_path(kOld) + "/README";
    replica.write(foreign, as_bytes("mine"));
    const std::string remnant = index_path(kOld, 0) + "/0000000000000001.wal.lz4.tmp-0badcafe";
    replica.write(remnant, as_bytes("half"));
    replica.set_time(remnant, 0);

    REQUIRE(carry_out(replica.client(), replica.plan(), kGoOn));

    const auto names = replica.names();
    CHECK(std::count(names.begin(), names.end(), foreign) == 1);
    CHECK(std::count_if(names.begin(), names.end(),
                        [](const std::string& name) { return name.find(kOld) != std::string::npos; }) == 1);
}

TEST_CASE("it stops when it is told to") {
    TwoGenerations replica;
    const std::atomic<bool> stopping = true;
    const auto before = replica.names();

    const Status status = carry_out(replica.client(), replica.plan(), stopping);

    REQUIRE_FALSE(status);
    CHECK(status.error().code == ErrorCode::kInterrupt);
    CHECK(replica.names() == before);
}

}  // namespace litestream
