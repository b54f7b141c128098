// Replicator: keeps one replica of one database up to date. It takes segments from the store, merges those of
// an index that wait (each restart of the sync interval), publishes them through a client, takes the first
// snapshot of a generation and one each interval, and removes what is older than the retention. Errors are
// kept, shown and retried with back-off and jitter; nothing here can fail or delay a commit. Where old files
// may not be removed, that is said once and tried again with the next snapshot.
//
// Where segments are gone before the replica had them, or one does not verify, a snapshot of a later index
// goes over the gap, or capture is asked for a new generation: the positions in the gap are lost to the
// replica, the later ones are not.
//
// A replica of another owner (shared/replica/owner.h) fences it: it never writes again. Two owners' files
// never meet under one name, each having generations of its own, so it asks for the owner now and then before
// it uploads: after kOwnerCheckMs, or after kOwnerCheckOfSyncMs where somebody waits for a sync.
//
// Thread-safe. The work runs as one job on the scheduler's threads: at most one thread at a time is in it.
// Lock order: mutex_ is innermost and not held across I/O.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "shared/base/scheduler.h"
#include "shared/replica/owner.h"
#include "shared/replica/replica_client.h"
#include "shared/replica/schedule.h"
#include "shared/store/database_image.h"
#include "shared/store/segment_store.h"

namespace litestream {

constexpr std::int64_t kHourMs = 3600 * 1000;
constexpr std::int64_t kOwnerCheckMs = 10'000;
constexpr std::int64_t kOwnerCheckOfSyncMs = 1000;

struct ReplicatorOptions {
    std::string name;
    std::int64_t sync_interval_ms = 1000;              // 0: at once
    std::int64_t snapshot_interval_ms = 24 * kHourMs;  // 0: off
    std::int64_t retention_ms = 24 * kHourMs;          // 0: keep for ever
    Owner owner;                                       // empty: whose the replica is, is not checked
    bool adopt = false;  // take the replica over, once, when it starts; not to be remembered
    Clock clock;
};

struct ReplicatorStatus {
    std::string name;
    std::string url;
    std::string state;                // "starting", "snapshot", "syncing", "ok", "retrying", "fenced"
    Position position;                // everything up to here can be restored; empty: nothing yet
    std::int64_t synced_ms = 0;       // wall clock when it last had everything; 0: never
    std::int64_t snapshot_ms = 0;     // wall clock of the generation's newest snapshot; 0: none
    std::int64_t retained_ms = 0;     // wall clock when old files were last removed; 0: not since the start
    std::int64_t retry_ms = 0;        // wall clock of the next attempt after an error; 0: no error
    std::uint64_t pending_bytes = 0;  // of WAL, captured but not there yet
    std::string last_error;           // "" once a sync, and the removal of old files, went well
    std::uint64_t wal_bytes = 0;      // uploaded since the start, before compression
    RequestCounts requests;           // since the start, of what a store bills
    std::string note;                 // what does not stop it and still should be known
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
    // A place where the chain of segments breaks off.
    struct Gap {
        Position after;
        std::uint64_t snapshot_index = 0;  // the first index where a snapshot helps
        std::string reason;
    };

    void work();
    void finish_work(const Status& status);
    void wake_in(std::int64_t delay_ms);
    void record(std::string_view kind, const std::string& detail) const;
    void set_state(const char* state);
    Position position() const;
    void set_position(const Position& position);
    Status take_wanted_snapshot();
    Status take_due_snapshot();
    std::optional<std::int64_t> snapshot_due_ms() const;
    void retain();
    void note_retention(const Status& status, std::int64_t now_ms);
    Status remove_old(std::int64_t now_ms);

    // replicator_work.cc
    Status sync_once();
    Status check_owner(const std::string& generation);
    Status check_owner_again();
    Status find_position(const std::string& generation);
    Result<bool> find_backlog(const std::string& generation);
    void start_afresh(const std::string& generation);
    Status advance(const std::vector<SegmentRef>& segments);
    void found_gap(const Position& at, std::uint64_t snapshot_index, const std::string& reason);
    Status upload(const std::vector<SegmentRef>& segments);
    Status upload_until(const Position& limit);
    Result<Position> publish_snapshot();
    Status begin_chain(const Position& at);
    Status write_snapshot(DatabaseImage& image, Trailer trailer);
    void note_snapshot(std::uint64_t index, std::int64_t created_ms);

    const ReplicatorOptions options_;
    const std::unique_ptr<ReplicaClient> client_;  // used by the job only
    SegmentStore& store_;
    ImageSource& images_;
    Scheduler& scheduler_;
    std::atomic<bool> stopping_ = false;
    std::atomic<bool> is_fenced_ = false;
    std::atomic<bool> is_asked_ = false;  // for a sync, since the owner was looked at
    // The scheduler's clock; a back-off that new segments do not cut short.
    std::atomic<std::int64_t> not_before_ms_ = 0;

    // The job only:
    bool adopt_;
    std::int64_t owner_seen_ms_ = 0;  // steady clock
    bool knows_position_ = false;
    bool has_snapshot_ = false;  // of the position's generation, and everything from there to the position
    std::optional<LastSnapshot> last_snapshot_;
    std::optional<Gap> gap_;
    std::set<std::string> given_up_;  // older generations whose last segments ended in a gap
    bool retention_due_ = true;
    std::int64_t retention_not_before_ms_ = 0;
    std::optional<ErrorCode> retention_trouble_;  // that was recorded
    BackOff sync_back_off_;
    BackOff retention_back_off_;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    // Guarded by mutex_:
    std::string state_ = "starting";
    Position position_;
    bool position_is_restorable_ = false;
    std::int64_t synced_ms_ = 0;
    std::int64_t snapshot_ms_ = 0;
    std::int64_t retained_ms_ = 0;
    std::int64_t retry_ms_ = 0;
    std::string last_error_;
    std::string retention_error_;
    std::uint64_t wal_bytes_ = 0;
    std::uint64_t errors_ = 0;  // counts, so that waiters notice a new one
    bool snapshot_wanted_ = false;
    std::uint64_t snapshots_done_ = 0;
    std::optional<Result<Position>> snapshot_result_;

    std::unique_ptr<Scheduler::Job> job_;
    int subscription_ = 0;
};

}  // namespace litestream
