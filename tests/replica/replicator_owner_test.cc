// Two databases on one replica: one of them is fenced, and nothing of the other is lost.
#include <doctest/doctest.h>

#include "tests/replica/site.h"

namespace litestream {
namespace {

constexpr const char* kGeneration = "00000000000000a1";
constexpr const char* kOther = "00000000000000c3";
constexpr int kTimeoutMs = 30'000;
constexpr std::int64_t kDayMs = 24 * kHourMs;

struct TwoSites {
    ReplicaFiles files;
    FakeClock clock;
    Site first{files, kGeneration, clock};
    Site second{files, kOther, clock};

    TwoSites() {
        first.options.owner = {"id-1", "/data/first.db", "machine-1"};
        second.options.owner = {"id-2", "/data/second.db", "machine-2"};
    }

    static void until_fenced(Site& site) {
        until([&] { return site.status().state == "fenced"; });
    }

    void start_first() {
        first.start();
        first.primary.commit();
        first.flush();
    }
};

}  // namespace

TEST_CASE_FIXTURE(TwoSites, "the second of two databases is fenced and the first goes on") {
    start_first();
    const Position begin = first.primary.position();
    const auto before = files.names();
    second.primary.commit();

    second.start();
    until_fenced(second);

    for (const char* part : {"/data/first.db", "machine-1", "{\"adopt\":true}"}) {
        CHECK(second.has_error(part));
    }
    CHECK(files.names() == before);
    first.primary.commit();
    first.commit_in_next_index();
    first.flush();
    CHECK(first.check_restores_from(begin) == 3);
    CHECK(files.restore().position() == first.primary.position());
}

TEST_CASE_FIXTURE(TwoSites, "a record that reads damaged holds up for as long as it does, and no longer") {
    start_first();
    const Bytes record = files.read(kOwnerName);
    first.stop();
    files.write(kOwnerName, as_bytes("<html>not now</html>"));
    first.primary.commit();
    const auto before = files.names();

    first.start();
    until([&] { return first.has_error(kOwnerName); });
    CHECK(files.names() == before);
    files.write(kOwnerName, record);
    first.flush();

    CHECK(files.restore().position() == first.primary.position());
}

TEST_CASE_FIXTURE(TwoSites, "what is fenced answers at once and keeps no segments") {
    start_first();
    second.primary.commit();
    second.start();
    until_fenced(second);

    second.primary.commit();
    second.replicator().sync_now();

    CHECK_FALSE(second.replicator().wait_for(second.primary.position(), kTimeoutMs, nullptr));
    const auto snapshot = second.replicator().snapshot(kTimeoutMs, nullptr);
    REQUIRE_FALSE(snapshot);
    CHECK(snapshot.error().message == second.status().last_error);
    CHECK(second.status().state == "fenced");
    CHECK(files.client().generations()->size() == 1);
}

TEST_CASE("of two databases that start at once on one replica exactly one is fenced") {
    for (int round = 0; round < 5; ++round) {
        CAPTURE(round);
        TwoSites sites;
        const Position of_first = sites.first.primary.commit();
        const Position of_second = sites.second.primary.commit();

        sites.first.start();
        sites.second.start();
        const auto is_settled = [](Site& site) {
            const auto status = site.status();
            return status.state == "fenced" || (status.state == "ok" && !status.position.empty());
        };
        until([&] { return is_settled(sites.first) && is_settled(sites.second); });

        const bool first_won = sites.first.status().state == "ok";
        CHECK(first_won != (sites.second.status().state == "ok"));
        Site& winner = first_won ? sites.first : sites.second;
        winner.commit_in_next_index();
        winner.flush();
        CHECK(winner.check_restores_from(first_won ? of_first : of_second) == 2);
        CHECK(sites.files.client().generations()->size() == 1);
    }
}

TEST_CASE_FIXTURE(TwoSites, "with adopt the second takes over and the first is fenced when it looks again") {
    start_first();
    const Position begin = first.primary.position();
    second.options.adopt = true;
    second.primary.commit();
    second.start();
    second.flush();
    const auto before = files.names();

    clock.advance(kOwnerCheckOfSyncMs);
    first.replicator().sync_now();
    first.commit_in_next_index();
    until_fenced(first);

    CHECK(first.has_error("/data/second.db"));
    CHECK(files.names() == before);
    CHECK(files.restore_position(begin).database == first.primary.state(begin));
    CHECK(files.restore_position(second.primary.position()).result);
}

TEST_CASE_FIXTURE(TwoSites, "who lost the replica takes no snapshot of what was there before") {
    start_first();
    first.commit_in_next_index();
    first.flush();
    second.options.adopt = true;
    second.primary.commit();
    second.start();
    second.flush();
    const auto before = files.names();

    clock.advance(kDayMs);
    const auto snapshot = first.replicator().snapshot(kTimeoutMs, nullptr);

    CHECK_FALSE(snapshot);
    until_fenced(first);
    first.stop();
    CHECK(files.names() == before);
}

TEST_CASE_FIXTURE(TwoSites, "where nobody asks for a sync the first one looks again in a while") {
    start_first();
    second.options.adopt = true;
    second.primary.commit();
    second.start();
    second.flush();
    const auto before = files.names();

    clock.advance(kOwnerCheckMs);
    first.primary.commit();
    until_fenced(first);

    CHECK(files.names() == before);
}

TEST_CASE_FIXTURE(TwoSites, "an owner that was adopted from removes nothing any more") {
    start_first();
    second.options.adopt = true;
    second.options.retention_ms = 0;
    second.primary.commit();
    second.start();
    second.flush();
    clock.advance(48 * kHourMs);

    first.commit_in_next_index();
    first.replicator().sync_now();
    until_fenced(first);

    CHECK(first.check_restores_or_not() >= 1);
    CHECK(files.restore_position(second.primary.position()).result);
}

TEST_CASE_FIXTURE(TwoSites, "the same owner goes on from anywhere") {
    start_first();
    const Position begin = first.primary.position();
    first.stop();
    first.options.owner.database = "/moved/first.db";

    first.start();
    first.commit_in_next_index();
    first.flush();

    CHECK(first.check_restores_from(begin) == 2);
}

TEST_CASE_FIXTURE(TwoSites, "without an identity nobody is asked") {
    first.options.owner = {};
    start_first();

    CHECK_FALSE(file_exists(join_path(files.root(), kOwnerName)));
}

}  // namespace litestream
