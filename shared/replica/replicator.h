// Replicator: keeps one replica of one database up to date. It takes segments from the store, merges those of
// an index that wait (each restart of the sync interval), publishes them through a client, and takes the
// first snapshot of a generation. Errors are kept, shown and retried with back-off and jitter; nothing here
// can fail or delay a commit.
//
// Thread-safe. The work runs as one job on the scheduler's threads: at most one thread at a time is in it.
// Lock order: mutex_ is innermost and not held across I/O.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "shared/base/scheduler.h"
#include "shared/replica/replica_client.h"
#include "shared/store/database_image.h"
#include "shared/store/segment_store.h"

namespace litestream {

struct ReplicatorOptions {
    std::string name;
    std::int64_t sync_interval_ms = 1000;  // 0: at once
};

struct ReplicatorStatus {
    std::string name;
    std::string url;
    std::string state;                // "starting", "snapshot", "syncing", "ok", "retrying"
    Position position;                // everything up to here can be restored; empty: nothing yet
    std::int64_t synced_ms = 0;       // wall clock when it last had everything; 0: never
    std::uint64_t pending_bytes = 0;  // of WAL, captured but not there yet
    std::string last_error;           // "" once a sync went well
};

class Replicator {
  public:
    // All references outlive this. Starts by itself.
    Replicator(ReplicatorOptions options, std::unique_ptr<ReplicaClient> client, SegmentStore& store,
               ImageSource& images, Scheduler& scheduler);
    ~Replicator();  // waits for the work at hand

    const ReplicatorOptions& options() const { return options_; }
    ReplicatorStatus status() const;

    void sync_now();  // do not wait for the interval
    // Waits until the replica has everything up to `position` (a snapshot of its generation included). `stop`
    // is asked four times a second. False: stopped, late, or (`give_up_on_error`) the replica has an error.
    bool wait_for(const Position& position, int timeout_ms, const std::function<bool()>& stop,
                  bool give_up_on_error = false);
    // Takes a snapshot and waits for it; its position. A snapshot of the current index that is there already
    // is not replaced: its own position is the result.
    Result<Position> snapshot(int timeout_ms, const std::function<bool()>& stop);

  private:
    void work();
    Status sync_once();
    Status find_position();
    Status upload_until(const Position& limit);
    Status check_index_step(const Position& at, const SegmentRef& first) const;
    Status upload(const std::vector<SegmentRef>& segments);
    Result<Position> publish_snapshot();
    Position position() const;
    void set_position(const Position& position);
    void set_state(const char* state);
    void finish_work(const Status& status);

    const ReplicatorOptions options_;
    const std::unique_ptr<ReplicaClient> client_;  // used by the job only
    SegmentStore& store_;
    ImageSource& images_;
    std::atomic<bool> stopping_ = false;
    std::atomic<std::int64_t> not_before_ms_ =
        0;                         // steady clock; a back-off that new segments do not cut short
    bool knows_position_ = false;  // the job only
    bool has_snapshot_ = false;    // the job only: of the position's generation
    int failures_ = 0;             // the job only

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    // Guarded by mutex_:
    std::string state_ = "starting";
    Position position_;
    bool position_is_restorable_ = false;
    std::int64_t synced_ms_ = 0;
    std::string last_error_;
    std::uint64_t errors_ = 0;  // counts, so that waiters notice a new one
    bool snapshot_wanted_ = false;
    std::uint64_t snapshots_done_ = 0;
    std::optional<Result<Position>> snapshot_result_;

    std::unique_ptr<Scheduler::Job> job_;
    int subscription_ = 0;
};

}  // namespace litestream
