// Site: a primary and a replicator that keeps a replica of it, under a clock that moves by hand.
// Thread-bound.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "tests/replica/primary.h"
#include "tests/support/fake_clock.h"

namespace litestream {

// Looks again until it is true. Fails the test after 30 s.
void until(const std::function<bool()>& condition);

class Site {
    TempDirectory directory_;  // the first member: the others live in it

  public:
    Site(ReplicaFiles& files, const std::string& generation, FakeClock& clock);

    ReplicatorOptions options;  // for the next start()
    Primary primary;
    // Before each storage call ("publish NAME"), on the replicator's thread.
    std::function<void(const std::string& call)> on_call;

    void start();
    void stop() { replicator_.reset(); }
    // Storage calls ("publish NAME") that contain `pattern` fail from now on; "": none.
    void fail(const std::string& pattern);
    int failures() const { return failures_; }

    Replicator& replicator() { return *replicator_; }
    ReplicatorStatus status() const { return replicator_->status(); }
    bool has_error(const std::string& part) const {
        return status().last_error.find(part) != std::string::npos;
    }
    // A commit as the first of a new index.
    Position commit_in_next_index();
    // Everything is in the replica.
    void flush();

    // Every state that was committed at or behind `from` restores to its bytes; the number.
    int check_restores_from(const Position& from);
    // Of those before: to its bytes or not at all.
    int check_restores_or_not();

  private:
    ReplicaFiles& files_;
    std::unique_ptr<ReplicaClient> client_;
    std::mutex mutex_;
    std::string pattern_;  // guarded by mutex_
    std::atomic<int> failures_ = 0;
    Scheduler scheduler_{2};
    std::unique_ptr<Replicator> replicator_;
};

}  // namespace litestream
