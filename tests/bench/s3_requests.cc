// How many requests an S3 replica costs: at a start, in a minute under load, in an idle hour and in an idle
// month, against a store in memory and with time that is moved by hand. Prints figures and judges nothing.
#include <doctest/doctest.h>

#include <cstdio>

#include "tests/replica/fake_store.h"
#include "tests/replica/primary.h"
#include "tests/replica/site.h"

namespace litestream {
namespace {

constexpr const char* kGeneration = "00000000000000a1";
constexpr std::int64_t kSecondMs = 1000;
constexpr std::int64_t kDayMs = 24 * kHourMs;
constexpr int kCommitsPerSecond = 500;

class Bench {
  public:
    explicit Bench(FakeStore::Conditions conditions) { store_.conditions = conditions; }

    void start(const char* what) {
        ReplicatorOptions options;
        options.name = "bench";
        options.owner = {"0123", primary_.path(), "this machine"};
        options.clock = clock_.clock();
        replicator_.reset();
        reported_.clear();
        replicator_ = std::make_unique<Replicator>(std::move(options), store_.client(S3Options()),
                                                   primary_.store(), primary_, scheduler_);
        primary_.commit();
        pass(kSecondMs);
        until([this] { return is_caught_up() && replicator_->status().retained_ms != 0; });
        report(what);
    }
    // `indexes`: how often the WAL begins anew meanwhile.
    void minute(int indexes) {
        int commits = 0;
        for (int second = 0; second < 60; ++second) {
            for (int i = 0; i < kCommitsPerSecond; ++i) {
                if (indexes > 0 && commits++ % (60 * kCommitsPerSecond / indexes) == 7) primary_.next_index();
                primary_.commit();
                pass(kSecondMs / kCommitsPerSecond);
            }
            until([this] { return is_caught_up(); });
        }
        char what[80];
        std::snprintf(what, sizeof what, "a minute, %d commits/s, %d new indexes", kCommitsPerSecond,
                      indexes);
        report(what);
    }
    void idle_hour() {
        for (int second = 0; second < 3600; ++second) pass(kSecondMs);
        report("an idle hour");
    }
    void next_snapshot() {
        pass(kDayMs);
        until([this] { return replicator_->status().retained_ms == clock_.wall_ms(); });
        report("a day after the last snapshot: the next one, retention");
    }
    void idle_month() {
        for (int day = 0; day < 30; ++day) pass(kDayMs);
        report("an idle month behind it");
    }

  private:
    void pass(std::int64_t milliseconds) {
        clock_.advance(milliseconds);
        scheduler_.clock_moved();
    }
    bool is_caught_up() const { return replicator_->status().position == primary_.position(); }
    void report(const char* what) {
        const RequestCounts now = replicator_->status().requests;
        std::string text;
        for (const auto& [kind, count] : now) {
            text += " " + kind + " " + std::to_string(count - reported_[kind]);
        }
        std::printf("  %-56s%s\n", what, text.c_str());
        reported_ = now;
    }

    TempDirectory directory_;
    FakeStore store_;
    FakeClock clock_;
    Primary primary_{directory_.path(), kGeneration};
    Scheduler scheduler_{2, clock_.clock().steady_ms};
    std::unique_ptr<Replicator> replicator_;
    RequestCounts reported_;
};

void run(const char* store, FakeStore::Conditions conditions) {
    std::printf("%s, sync_interval 1 s:\n", store);
    Bench bench(conditions);
    bench.start("the first start: owner record, snapshot, retention");
    bench.minute(0);
    bench.minute(20);
    bench.idle_hour();
    bench.start("a later start: where it stands, retention");
    bench.next_snapshot();
    bench.idle_month();
}

}  // namespace

TEST_CASE("requests") {
    run("a store with conditional writes", FakeStore::Conditions::kKept);
    run("a store without", FakeStore::Conditions::kIgnored);
}

}  // namespace litestream
