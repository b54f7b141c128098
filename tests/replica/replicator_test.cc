// What a replicator keeps, for how long, and how it tries again.
#include "shared/replica/replicator.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <mutex>

#include "shared/format/path.h"
#include "shared/replica/validator.h"
#include "tests/replica/site.h"

namespace litestream {
namespace {

constexpr const char* kGeneration = "00000000000000a1";
constexpr int kTimeoutMs = 30'000;
constexpr std::int64_t kDayMs = 24 * kHourMs;

struct Replicated {
    ReplicaFiles files;
    FakeClock clock;
    Site site{files, kGeneration, clock};

    std::vector<SnapshotInfo> snapshots() { return *files.client().snapshots(kGeneration); }
    // A started replicator has removed nothing yet: what it says then is of now.
    void flush_and_retain() {
        site.flush();
        site.stop();
        site.start();
        site.flush();
        until([this] { return site.status().retained_ms == clock.wall_ms(); });
    }
};

}  // namespace

TEST_CASE_FIXTURE(Replicated, "every commit restores, from the first snapshot on") {
    site.start();
    site.primary.commit();
    site.flush();
    const Position first = site.primary.position();
    for (int i = 0; i < 4; ++i) {
        site.primary.commit();
        site.commit_in_next_index();
        site.flush();
    }

    CHECK(site.check_restores_from(first) == 9);
    CHECK(site.status().state == "ok");
    CHECK(site.status().position == site.primary.position());
    CHECK(site.status().snapshot_ms == clock.wall_ms());
}

TEST_CASE_FIXTURE(Replicated, "a started replicator goes on where the last one ended") {
    site.start();
    const Position first = site.primary.commit();
    site.flush();
    site.stop();
    site.primary.commit();
    site.commit_in_next_index();

    site.start();
    site.flush();

    CHECK(site.check_restores_from(first) == 3);
    CHECK(snapshots().size() == 1);
}

TEST_CASE_FIXTURE(Replicated, "what is there after an error is made durable before anything is built on it") {
    std::mutex mutex;
    std::vector<std::string> calls;
    site.on_call = [&](const std::string& call) {
        const std::lock_guard lock(mutex);
        calls.push_back(call.substr(0, call.find(' ')));
    };
    site.start();
    site.primary.commit();
    site.flush();
    site.fail("publish");
    site.primary.commit();
    until([this] { return site.failures() > 0; });

    site.fail("");
    site.flush();
    site.stop();

    const auto good = std::find(calls.rbegin(), calls.rend(), "publish");
    const auto failed = std::find(std::next(good), calls.rend(), "publish");
    CHECK(std::find(good, failed, "settle") != failed);
}

TEST_CASE_FIXTURE(Replicated, "what an ended generation had not handed on is handed on before the next one") {
    site.start();
    const Position first = site.primary.commit();
    site.flush();
    site.stop();
    site.primary.commit();
    site.commit_in_next_index();
    site.primary.begin_generation("00000000000000b2");
    site.primary.commit();

    site.start();
    site.flush();

    CHECK(site.check_restores_from(first) == 3);
    CHECK(site.status().position == site.primary.position());
}

TEST_CASE_FIXTURE(Replicated, "a snapshot is taken when one is due and a later index is there") {
    site.options.retention_ms = 0;
    site.start();
    const Position first = site.primary.commit();
    site.flush();

    clock.advance(kDayMs - 1);
    site.commit_in_next_index();
    site.flush();
    site.primary.commit();
    site.flush();
    CHECK(snapshots().size() == 1);
    clock.advance(1);
    site.replicator().sync_now();
    until([this] { return snapshots().size() == 2; });

    site.commit_in_next_index();
    site.flush();
    CHECK(snapshots().size() == 2);
    CHECK(site.check_restores_from(first) == 4);
}

TEST_CASE_FIXTURE(Replicated, "under a load without a pause a due snapshot and retention have their turn") {
    std::atomic<bool> is_loaded = false;
    site.on_call = [&](const std::string& call) {
        if (is_loaded.load() && call.find("/wal/") != std::string::npos) site.primary.commit();
    };
    site.start();
    site.primary.commit();
    site.flush();
    clock.advance(kDayMs + 1);
    const Position late = site.commit_in_next_index();

    is_loaded.store(true);
    site.replicator().sync_now();
    until([&] { return snapshots().size() == 1 && snapshots()[0].index == late.index; });
    is_loaded.store(false);

    site.flush();
    CHECK(site.check_restores_from(site.primary.position()) == 1);
}

TEST_CASE_FIXTURE(Replicated, "what is older than the retention goes and the rest restores") {
    site.start();
    site.primary.commit();
    site.flush();
    std::vector<Position> days;
    for (int day = 0; day < 5; ++day) {
        clock.advance(kDayMs);
        days.push_back(site.commit_in_next_index());
        flush_and_retain();
        site.primary.commit();
        site.flush();
    }

    const auto left = snapshots();
    REQUIRE(left.size() == 2);
    CHECK(left[0].index == days[3].index);
    CHECK(site.check_restores_from(days[3]) == 4);
    CHECK(site.check_restores_or_not() == 4);
    CHECK(files.client().segments(kGeneration)->front().index == days[3].index);
}

TEST_CASE_FIXTURE(Replicated, "when all snapshots are too old a new one is taken first") {
    site.options.snapshot_interval_ms = 0;
    site.start();
    site.primary.commit();
    site.flush();
    site.stop();
    clock.advance(3 * kDayMs);
    const Position late = site.commit_in_next_index();

    site.start();
    flush_and_retain();

    REQUIRE(snapshots().size() == 1);
    CHECK(snapshots()[0].index == late.index);
    CHECK(site.check_restores_or_not() == 1);
}

TEST_CASE_FIXTURE(Replicated, "an idle database keeps its only snapshot") {
    site.start();
    const Position only = site.primary.commit();
    site.flush();
    site.stop();
    clock.advance(30 * kDayMs);

    site.start();
    flush_and_retain();

    CHECK(snapshots().size() == 1);
    CHECK(site.check_restores_from(only) == 1);
}

TEST_CASE_FIXTURE(Replicated, "an older generation goes once it is out of the retention") {
    constexpr const char* kNext = "00000000000000b2";
    site.start();
    site.primary.commit();
    site.flush();
    site.primary.begin_generation(kNext);
    const Position next = site.primary.commit();
    site.flush();
    CHECK(files.client().generations()->size() == 2);

    clock.advance(kDayMs + 1);
    site.commit_in_next_index();
    flush_and_retain();

    CHECK(*files.client().generations() == std::vector<std::string>{kNext});
    CHECK(site.check_restores_or_not() == 1);
    CHECK(next.generation == kNext);
}

TEST_CASE_FIXTURE(Replicated, "a retention of 0 keeps everything") {
    site.options.retention_ms = 0;
    site.start();
    const Position first = site.primary.commit();
    site.flush();
    for (int day = 0; day < 3; ++day) {
        clock.advance(kDayMs);
        site.commit_in_next_index();
        site.flush();
        until([&] { return snapshots().size() == static_cast<std::size_t>(day) + 2; });
    }

    CHECK(site.check_restores_from(first) == 4);
}

TEST_CASE_FIXTURE(Replicated,
                  "files that cannot be removed are reported, hold up nothing and are tried again") {
    site.start();
    site.primary.commit();
    site.flush();
    clock.advance(2 * kDayMs);
    site.fail("remove");
    site.commit_in_next_index();
    site.flush();
    until([this] { return site.has_error("removing old files: cannot remove"); });
    until([this] { return site.status().state == "ok"; });
    site.primary.commit();
    site.flush();
    CHECK(site.failures() == 1);

    site.fail("");
    clock.advance(kHourMs);
    site.replicator().sync_now();
    until([this] { return site.status().last_error.empty(); });

    CHECK(snapshots().size() == 1);
    CHECK(site.status().retained_ms == clock.wall_ms());
}

TEST_CASE_FIXTURE(Replicated, "attempts grow apart within bounds and begin again after a success") {
    site.start();
    site.primary.commit();
    site.flush();
    const auto wait_ms = [this] { return site.status().retry_ms - clock.wall_ms(); };
    const auto fail_once_more = [this] {
        const int before = site.failures();
        site.replicator().sync_now();
        until([&] { return site.failures() > before && site.status().state == "retrying"; });
    };
    site.fail("publish");
    site.primary.commit();
    fail_once_more();
    CHECK(wait_ms() >= 250);

    for (int i = 0; i < 9; ++i) fail_once_more();
    until([&] { return wait_ms() >= 30'000; });
    CHECK(wait_ms() <= 60'000);

    site.fail("");
    site.flush();
    until([this] { return site.status().retry_ms == 0; });
    site.fail("publish");
    site.primary.commit();
    until([this] { return site.status().retry_ms != 0; });
    CHECK(wait_ms() <= 4000);
}

TEST_CASE_FIXTURE(Replicated, "a replica validates against the live database") {
    site.start();
    site.primary.commit();
    site.flush();
    site.commit_in_next_index();
    site.flush();
    const auto image = site.primary.pin();
    REQUIRE(image);
    ValidateOptions options;
    options.directory = parent_directory(files.output());
    options.restore.position = (*image)->trailer().end();
    options.inspect = [&](const std::string& path, const Position&) -> Status {
        LITESTREAM_ASSIGN(const auto difference, compare_with_image(path, **image));
        return difference ? Status(corrupt(difference->what)) : Status();
    };

    const auto report = validate(files.client(), options);

    REQUIRE(report);
    CHECK_MESSAGE(report->ok, report->error);
    CHECK(report->pages == 4);
}

TEST_CASE_FIXTURE(Replicated, "a snapshot that is wanted is taken at once, one of each index") {
    site.start();
    site.primary.commit();
    site.flush();
    const Position at = site.commit_in_next_index();

    const auto taken = site.replicator().snapshot(kTimeoutMs, nullptr);
    site.primary.commit();
    const auto again = site.replicator().snapshot(kTimeoutMs, nullptr);

    REQUIRE(taken);
    CHECK(*taken == at);
    REQUIRE(again);
    CHECK(*again == at);
    CHECK(snapshots().size() == 2);
}

}  // namespace litestream
