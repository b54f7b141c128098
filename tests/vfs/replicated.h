// Replicated: a database with a directory replica, for tests that ask what a restore brings back. Capture and
// replication are the production code. Thread-bound.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "shared/base/scheduler.h"
#include "shared/replica/replicator.h"
#include "shared/replica/restorer.h"
#include "tests/support/sqlite_host.h"
#include "vfs/registry.h"
#include "vfs/snapshotter.h"

namespace litestream::test {

struct Replicated {
    static constexpr int kTimeoutMs = 30'000;
    static constexpr int kPatienceMs = 1000;  // then a new generation may have taken over

    TempDirectory directory;
    std::string path = directory.path("app.db");
    Scheduler scheduler{2};
    std::shared_ptr<Database> replicated_database;
    std::unique_ptr<Snapshotter> snapshotter;
    std::unique_ptr<Replicator> replicator;

    ~Replicated() { stop_replicating(); }

    // The database as opened by this process; capture has everything that was committed.
    std::shared_ptr<Database> captured() {
        auto database = host_registry().find(path);
        REQUIRE(database);
        REQUIRE_MESSAGE(database->wait_captured(kTimeoutMs), database->capture_error());
        return database;
    }
    SegmentStore& store() { return captured()->store(); }
    std::string generation() { return store().generation(); }
    std::string reason() { return store().generation_reason(); }

    void replicate() {
        stop_replicating();
        replicated_database = host_registry().find(path);
        REQUIRE(replicated_database);
        auto client = open_replica_client(*Url::parse("file://" + directory.path("replica")));
        REQUIRE(client);
        snapshotter = std::make_unique<Snapshotter>(*replicated_database);
        ReplicatorOptions options;
        options.name = "file";
        options.sync_interval_ms = 0;
        replicator = std::make_unique<Replicator>(options, *std::move(client), replicated_database->store(),
                                                  *snapshotter, scheduler);
    }
    void stop_replicating() {
        replicator.reset();
        snapshotter.reset();
        replicated_database.reset();
    }
    // Everything committed is in the replica.
    void flush() {
        bool done = false;
        for (int waited_ms = 0; !done && waited_ms < kTimeoutMs; waited_ms += kPatienceMs) {
            captured();
            replicator->sync_now();
            done = replicator->wait_for(store().end(), kPatienceMs, nullptr);
        }
        REQUIRE_MESSAGE(done, replicator->status().last_error);
    }

    // The latest state in the replica, or the one at `position`.
    std::string restored(const std::string& position = {}) {
        const std::string out = directory.path("restored.db");
        RestoreOptions options;
        if (!position.empty()) options.position = *Position::parse(position);
        auto client = open_replica_client(*Url::parse("file://" + directory.path("replica")));
        const auto result = restore(**client, out, options);
        REQUIRE_MESSAGE(result, (result ? "" : result.error().message));
        std::string text = dump_file(out);
        ::unlink(out.c_str());
        return text;
    }
};

}  // namespace litestream::test
