// The promise in one scenario: whatever an application does, every commit is captured, and a restore to the
// position after any commit gives exactly the database of that moment, from the oldest snapshot on that
// retention has left. The production code runs; a seed draws what the application does, how time passes and
// what is kept. Faults are not injected here.
#include <doctest/doctest.h>

#include <cstdlib>
#include <map>
#include <random>

#include "shared/base/scheduler.h"
#include "shared/replica/replicator.h"
#include "shared/replica/restorer.h"
#include "tests/support/fake_clock.h"
#include "tests/support/sqlite_host.h"
#include "vfs/registry.h"
#include "vfs/snapshotter.h"

using namespace litestream;
using namespace litestream::test;

namespace {

constexpr int kTimeoutMs = 30'000;

class Application {
  public:
    explicit Application(unsigned seed) : random_(seed) {
        constexpr int kPageSizes[] = {512, 1024, 4096, 8192, 32768, 65536};
        page_size_ = kPageSizes[draw(6)];
        auto_vacuum_ = draw(3);
        constexpr std::int64_t kHours[] = {0, 6, 24, 48};
        retention_ms_ = kHours[draw(4)] * kHourMs;
        snapshot_interval_ms_ = kHours[draw(4)] * kHourMs;
        open();
        connection_->exec("PRAGMA page_size=" + std::to_string(page_size_) +
                          "; PRAGMA auto_vacuum=" + std::to_string(auto_vacuum_) +
                          "; PRAGMA journal_mode=WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, a, b);"
                          "CREATE INDEX i ON t(a)");
        replicate();
        flush();  // a restore reaches back to the first snapshot
        record();
    }

    void run(int steps) {
        for (int i = 0; i < steps; ++i) step();
    }

    // Every recorded position restores to its dump, from the oldest snapshot of its generation on; before it,
    // to its dump or not at all. The last one is also what 'latest' gives.
    void check_all() {
        flush();
        stop_replicating();
        const auto oldest = oldest_snapshots();
        for (const auto& recorded : dumps_) {
            const std::string& text = recorded.first;
            RestoreOptions options;
            options.position = *Position::parse(text);
            const auto from = oldest.find(options.position->generation);
            const bool is_kept = from != oldest.end() && !options.position->before(from->second);
            if (retention_ms_ == 0) CHECK_MESSAGE(is_kept, text << " is gone");
            kept_ += is_kept ? 1 : 0;
            check_restore(options, text, recorded.second, is_kept);
        }
        check_restore({}, "latest", dumps_.at(last_), true);
    }

    std::size_t positions() const { return dumps_.size(); }
    int kept() const { return kept_; }
    const std::string& url() const { return url_; }

  private:
    std::map<std::string, Position> oldest_snapshots() {
        std::map<std::string, Position> oldest;
        auto client = *open_replica_client(*Url::parse(url_));
        const auto generations = client->generations();
        REQUIRE(generations);
        for (const std::string& generation : *generations) {
            const auto snapshots = client->snapshots(generation);
            REQUIRE(snapshots);
            if (snapshots->empty()) continue;
            const auto trailer = client->trailer(snapshots->front().name);
            REQUIRE(trailer);
            oldest[generation] = trailer->value().end();
        }
        return oldest;
    }

    unsigned draw(unsigned limit) { return static_cast<unsigned>(random_() % limit); }

    void open() {
        connection_ = std::make_unique<Connection>("file:" + path_ + (draw(2) ? "?psow=1" : ""));
        connection_->exec("PRAGMA cache_size=" + std::to_string(5 + draw(30)) +
                          "; PRAGMA synchronous=" + std::to_string(draw(3)) +
                          "; PRAGMA mmap_size=" + std::to_string(draw(2) * 1048576) +
                          "; PRAGMA wal_autocheckpoint=" + std::to_string(1 + draw(40)) +
                          "; SELECT count(*) FROM sqlite_master");
        other_ = std::make_unique<Connection>(path_, draw(2) ? "litestream" : "unix");
        database_ = host_registry().find(path_);
    }

    void close() {
        flush();
        stop_replicating();
        database_.reset();
        if (draw(2)) other_.reset();
        connection_.reset();
        other_.reset();
    }

    void replicate() {
        const auto parsed = Url::parse(url_);
        auto client = open_replica_client(*parsed);
        REQUIRE(client);
        snapshotter_ = std::make_unique<Snapshotter>(*database_);
        ReplicatorOptions options;
        options.name = "file";
        options.sync_interval_ms = draw(2) ? 0 : 20;
        options.retention_ms = retention_ms_;
        options.snapshot_interval_ms = snapshot_interval_ms_;
        options.clock = clock_.clock();
        replicator_ = std::make_unique<Replicator>(options, *std::move(client), database_->store(),
                                                   *snapshotter_, scheduler_);
    }

    void stop_replicating() {
        replicator_.reset();
        snapshotter_.reset();
    }

    void flush() {
        captured();
        replicator_->sync_now();
        const bool done = replicator_->wait_for(database_->store().end(), kTimeoutMs, nullptr);
        REQUIRE_MESSAGE(done, replicator_->status().last_error);
    }

    void captured() { REQUIRE_MESSAGE(database_->wait_captured(kTimeoutMs), database_->capture_error()); }

    void record() {
        captured();
        last_ = database_->store().end().to_string();
        const std::string now = dump(*connection_);
        const auto [entry, is_new] = dumps_.emplace(last_, now);
        if (!is_new) CHECK_MESSAGE(entry->second == now, "two states at " << last_);
    }

    std::string rows(unsigned count) {
        return "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<" +
               std::to_string(count) + ") INSERT INTO t(a,b) SELECT random(), randomblob(" +
               std::to_string(1 + draw(600)) + ") FROM n;";
    }
    std::string update() {
        return "UPDATE t SET b=randomblob(" + std::to_string(1 + draw(900)) + ") WHERE id%" +
               std::to_string(2 + draw(9)) + "=1;";
    }

    void step() {
        if (draw(4) == 0) clock_.advance(draw(4 * kHourMs));
        switch (draw(16)) {
            case 0:
            case 1:
            case 2:
                connection_->exec(rows(1));
                break;
            case 3:
                connection_->exec(rows(1 + draw(80)));
                break;
            case 4:
                connection_->exec(update());
                break;
            case 5:
                connection_->exec("DELETE FROM t WHERE id%3=" + std::to_string(draw(3)));
                break;
            case 6:
                connection_->exec("BEGIN;" + rows(60) + update() + update() + "COMMIT");
                break;  // spills
            case 7:
                connection_->exec("BEGIN;" + rows(60) + update() + "ROLLBACK");
                break;
            case 8:
            case 9:
                connection_->exec("BEGIN;" + rows(20) + update() + "SAVEPOINT s;" + rows(40) + update() +
                                  "ROLLBACK TO s;" + update() + rows(10) + "COMMIT");
                break;
            case 10:
                other_->exec(rows(1 + draw(5)));
                break;
            case 11: {
                constexpr const char* kModes[] = {"PASSIVE", "FULL", "RESTART", "TRUNCATE"};
                connection_->try_exec(std::string("PRAGMA wal_checkpoint(") + kModes[draw(4)] + ")");
                break;
            }
            case 12:
                connection_->exec(draw(3) ? "PRAGMA incremental_vacuum(5)" : "VACUUM");
                break;
            case 13:
                connection_->exec("CREATE TABLE IF NOT EXISTS u" + std::to_string(draw(4)) +
                                  "(x); DROP TABLE IF EXISTS u" + std::to_string(draw(4)));
                break;
            case 14:
                CHECK(replicator_->snapshot(kTimeoutMs, nullptr));
                break;
            default:
                if (draw(4) != 0) break;
                close();
                open();
                replicate();
                flush();
        }
        record();
    }

    void check_restore(const RestoreOptions& options, const std::string& what, const std::string& expected,
                       bool must_be_there) {
        const std::string out = directory_.path("restored.db");
        auto client = open_replica_client(*Url::parse(url_));
        const auto restored = restore(**client, out, options);
        if (!restored && !must_be_there) return;
        REQUIRE_MESSAGE(restored, what << ": " << (restored ? "" : restored.error().message));
        CHECK_MESSAGE(dump_file(out) == expected, "at " << what);
        ::unlink(out.c_str());
    }

    std::mt19937 random_;
    FakeClock clock_{wall_clock_ms()};
    std::int64_t retention_ms_ = 0;
    std::int64_t snapshot_interval_ms_ = 0;
    TempDirectory directory_;
    std::string path_ = directory_.path("app.db");
    std::string url_ = "file://" + directory_.path("replica");
    int page_size_ = 0;
    unsigned auto_vacuum_ = 0;
    Scheduler scheduler_{2};
    std::unique_ptr<Connection> connection_;
    std::unique_ptr<Connection> other_;
    std::shared_ptr<Database> database_;
    std::unique_ptr<Snapshotter> snapshotter_;
    std::unique_ptr<Replicator> replicator_;
    std::map<std::string, std::string> dumps_;  // by position
    std::string last_;
    int kept_ = 0;
};

unsigned seeds() {
    const char* wanted = std::getenv("LITESTREAM_SEEDS");
    return wanted != nullptr ? static_cast<unsigned>(std::atoi(wanted)) : 6;
}

unsigned first_seed() {
    const char* wanted = std::getenv("LITESTREAM_SEED");
    return wanted != nullptr ? static_cast<unsigned>(std::atoi(wanted)) : 1;
}

}  // namespace

TEST_CASE("every position restores to the database of its moment") {
    for (unsigned seed = first_seed(); seed < first_seed() + seeds(); ++seed) {
        CAPTURE(seed);
        Application application(seed);
        application.run(120);
        application.check_all();
        MESSAGE("seed " << seed << ": kept " << application.kept() << " of " << application.positions());
        CHECK(application.positions() > 40);
    }
}
