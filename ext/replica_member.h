// ReplicaMember: one replica of a database as the SQL surface sees it: what is remembered about it, and its
// Replicator. A function may be waiting for it while another connection gives it up: end() makes waiters
// return, then ends the work.
//
// Thread-safe. Lock order: use_mutex_ is taken with no other mutex of ours held; waiters hold it shared.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <shared_mutex>
#include <string>

#include "ext/periodic_validation.h"
#include "ext/remembered.h"
#include "shared/replica/replicator.h"
#include "vfs/database.h"

namespace litestream {

class ReplicaMember {
  public:
    using Stop = std::function<bool()>;

    ReplicaMember(ReplicaSpec spec, std::unique_ptr<Replicator> replicator)
        : spec_(std::move(spec)), replicator_(std::move(replicator)) {}
    // One that is remembered but cannot be started; it stays remembered, and status shows why.
    ReplicaMember(ReplicaSpec spec, std::string error) : spec_(std::move(spec)), error_(std::move(error)) {}

    // Before others know of it. `scheduler`: one where a job may wait for a replicator.
    void validate_periodically(Database& database, ImageSource& images, Scheduler& scheduler);

    const ReplicaSpec& spec() const { return spec_; }
    bool has_ended() const { return ended_; }
    ReplicatorStatus status() const;
    std::optional<ValidationResult> last_validation() const;

    void sync_now();
    // False: late, stopped, ended, or (`give_up_on_error`) it has an error.
    bool wait_for(const Position& position, int timeout_ms, const Stop& stop, bool give_up_on_error = false);
    Result<Position> snapshot(int timeout_ms, const Stop& stop);
    // Waits until nobody waits and the work at hand is done.
    void end();

  private:
    Stop until_ended(const Stop& stop) const;

    const ReplicaSpec spec_;
    const std::string error_;
    std::atomic<bool> ended_ = false;
    mutable std::shared_mutex use_mutex_;
    std::unique_ptr<Replicator> replicator_;          // guarded by use_mutex_; null: not started, or ended
    std::shared_ptr<PeriodicValidation> validation_;  // guarded by use_mutex_; null: none, or ended
};

}  // namespace litestream
