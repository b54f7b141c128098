// Where the chain of segments breaks off, a snapshot of a later index goes over the gap.
#include <doctest/doctest.h>

#include "shared/format/path.h"
#include "tests/replica/site.h"

namespace litestream {
namespace {

constexpr const char* kGeneration = "00000000000000a1";
constexpr const char* kNext = "00000000000000b2";
constexpr std::uint64_t kCapBytes = 20 * 4096;

// Some commits are in the replica; then its storage is out of reach.
struct Unreachable {
    ReplicaFiles files;
    FakeClock clock;
    Site site{files, kGeneration, clock};
    Position first;
    Position last_there;

    Unreachable() {
        site.options.retention_ms = 0;
        site.primary.store().set_cap(kCapBytes);
        site.start();
        first = site.primary.commit();
        site.flush();
        last_there = site.commit_in_next_index();
        site.flush();
        site.fail("publish");
    }

    // Stopped meanwhile: how far it would come in between is a matter of luck.
    void commit_past_the_cap() {
        site.stop();
        for (int i = 0; i < 10; ++i) {
            site.commit_in_next_index();
            for (int j = 0; j < 3; ++j) site.primary.commit();
        }
        CHECK(site.primary.store().local_bytes() <= kCapBytes);
        site.start();
    }

    void damage(const Position& segment_end) const {
        const std::string path = site.primary.file_of(segment_end);
        Bytes bytes = read_whole(path);
        bytes[bytes.size() / 2] ^= 1;
        REQUIRE(write_file_atomically(path, bytes, 0600));
    }

    void reach_again() {
        site.fail("");
        site.replicator().sync_now();
    }
};

}  // namespace

TEST_CASE_FIXTURE(Unreachable, "past the cap on local segments a replica is healed by a new snapshot") {
    commit_past_the_cap();

    reach_again();
    site.flush();

    const auto snapshots = *files.client().snapshots(kGeneration);
    REQUIRE(snapshots.size() == 2);
    CHECK(files.restore_position(first).database == site.primary.state(first));
    CHECK(files.restore_position(last_there).database == site.primary.state(last_there));
    const Restored in_gap = files.restore_position({kGeneration, 3, first.offset});
    REQUIRE(in_gap.is_refused());
    CHECK(in_gap.message().find("a segment is missing") != std::string::npos);
    const Position healed = site.primary.position();
    CHECK(files.restore().position() == healed);
    CHECK(site.check_restores_or_not() == 3);

    site.primary.commit();
    site.commit_in_next_index();
    site.flush();
    CHECK(site.check_restores_from(healed) == 3);
    until([this] { return site.status().last_error.empty(); });
}

TEST_CASE_FIXTURE(Unreachable, "a time in the gap is refused, or the last commit before it") {
    commit_past_the_cap();
    reach_again();
    site.flush();

    // The last commit before the gap is at second 2 of 42.
    const Restored in_gap = files.restore_time(1'700'000'000'000 + 20'000);

    CHECK(in_gap.is_refused());
}

TEST_CASE_FIXTURE(Unreachable, "a healing that breaks off before its snapshot is healed by the next start") {
    commit_past_the_cap();
    site.fail("publish " + snapshots_path(kGeneration));
    const int before = site.failures();
    site.replicator().sync_now();
    until([&] { return site.failures() > before; });
    site.stop();
    CHECK(files.client().segments(kGeneration)->back().index == 11);

    site.fail("");
    site.start();
    site.commit_in_next_index();
    site.flush();

    CHECK(files.restore().position() == site.primary.position());
    CHECK(site.check_restores_or_not() >= 3);
}

TEST_CASE_FIXTURE(Unreachable, "a generation that is gone here is skipped") {
    commit_past_the_cap();
    site.primary.begin_generation(kNext);
    site.primary.commit();
    for (int i = 0; i < 6; ++i) {
        site.commit_in_next_index();
        for (int j = 0; j < 3; ++j) site.primary.commit();
    }

    reach_again();
    site.flush();

    CHECK(files.restore().position() == site.primary.position());
    CHECK(files.restore_position(last_there).database == site.primary.state(last_there));
}

TEST_CASE_FIXTURE(Unreachable,
                  "a damaged local segment holds the replica up only until a later index is there") {
    const Position before = site.primary.commit();
    const Position damaged = site.primary.commit();
    const Position behind = site.primary.commit();
    damage(damaged);

    reach_again();
    const std::string name = segment_path(kGeneration, damaged.index, before.offset);
    until([&] { return site.status().state == "retrying" && site.has_error(name); });
    CHECK(files.restore_position(before).database == site.primary.state(before));
    CHECK(files.restore().position() == before);
    const Position later = site.commit_in_next_index();
    site.flush();

    until([this] { return site.status().last_error.empty(); });
    CHECK(files.restore_position(before).database == site.primary.state(before));
    CHECK(files.restore_position(damaged).is_refused());
    CHECK(files.restore_position(behind).is_refused());
    CHECK(files.restore_position(later).database == site.primary.state(later));
    CHECK(files.restore().position() == later);
}

TEST_CASE_FIXTURE(Unreachable,
                  "a healing over a damaged segment that breaks off is noticed at the next start") {
    damage(site.primary.commit());
    const Position later = site.commit_in_next_index();
    site.fail("publish " + snapshots_path(kGeneration));
    const int before = site.failures();
    site.replicator().sync_now();
    until([&] { return site.failures() > before; });
    site.stop();
    CHECK(files.client().segments(kGeneration)->back().index == later.index);
    CHECK(files.restore().is_refused());

    site.fail("");
    site.start();
    site.flush();

    CHECK(files.restore().position() == later);
    CHECK(files.restore_position(last_there).database == site.primary.state(last_there));
}

TEST_CASE_FIXTURE(Unreachable, "a damaged segment of an older generation is left behind with it") {
    damage(site.primary.commit());
    site.primary.begin_generation(kNext);
    const Position next = site.primary.commit();

    reach_again();
    site.flush();

    CHECK(files.restore().position() == next);
    CHECK(files.restore_position(last_there).database == site.primary.state(last_there));
}

TEST_CASE_FIXTURE(Unreachable, "a damaged older generation does not come back with the next error") {
    damage(site.primary.commit());
    site.primary.begin_generation(kNext);
    const Position next = site.primary.commit();
    reach_again();
    site.flush();

    site.fail("publish");
    site.commit_in_next_index();
    site.replicator().sync_now();
    until([this] { return site.status().state == "retrying"; });
    site.commit_in_next_index();
    reach_again();
    site.flush();

    CHECK(site.check_restores_from(next) == 3);
}

}  // namespace litestream
