#include "shared/replica/replicator.h"

#include <algorithm>
#include <chrono>

#include "shared/base/clock.h"
#include "shared/base/events.h"
#include "shared/base/text.h"
#include "shared/replica/retention.h"

namespace litestream {

namespace {

constexpr std::int64_t kMinBackOffMs = 500;
constexpr std::int64_t kMaxBackOffMs = 60'000;
constexpr std::int64_t kMinRetentionBackOffMs = 60'000;
constexpr int kAskStopMs = 250;

}  // namespace

Replicator::Replicator(ReplicatorOptions options, std::unique_ptr<ReplicaClient> client, SegmentStore& store,
                       ImageSource& images, Scheduler& scheduler)
    : options_(std::move(options)),
      client_(std::move(client)),
      store_(store),
      images_(images),
      scheduler_(scheduler),
      adopt_(options_.adopt),
      sync_back_off_(kMinBackOffMs, kMaxBackOffMs),
      retention_back_off_(kMinRetentionBackOffMs, kHourMs) {
    store_.set_cursor(options_.name, {});
    job_ = scheduler.add_job([this] { work(); });
    subscription_ = store_.subscribe([this] {
        if (is_fenced_.load()) return;
        job_->wake_at(std::max(scheduler_.now_ms() + options_.sync_interval_ms, not_before_ms_.load()));
    });
    job_->wake();
}

Replicator::~Replicator() {
    stopping_.store(true);
    client_->cancel();  // what waits for a slow store
    store_.unsubscribe(subscription_);
    // job_, destroyed first of the members, waits for the work at hand, which may still wake it.
}

void Replicator::sync_now() {
    is_asked_.store(true);
    not_before_ms_.store(0);
    job_->wake();
}

ReplicatorStatus Replicator::status() const {
    const std::uint64_t pending = store_.bytes_after(position());
    const std::lock_guard lock(mutex_);
    ReplicatorStatus status;
    status.name = options_.name;
    status.url = client_->url();
    status.state = state_;
    if (position_is_restorable_) status.position = position_;
    status.synced_ms = synced_ms_;
    status.snapshot_ms = snapshot_ms_;
    status.retained_ms = retained_ms_;
    status.retry_ms = retry_ms_;
    status.pending_bytes = pending;
    status.last_error = last_error_.empty() ? retention_error_ : last_error_;
    status.wal_bytes = wal_bytes_;
    status.requests = client_->request_counts();
    status.note = client_->fence_note();
    return status;
}

Position Replicator::position() const {
    const std::lock_guard lock(mutex_);
    return position_;
}

bool Replicator::wait_for(const Position& position, int timeout_ms, const std::function<bool()>& stop,
                          bool give_up_on_error) {
    const std::int64_t deadline = steady_clock_ms() + timeout_ms;
    std::unique_lock lock(mutex_);
    const std::uint64_t errors = errors_;
    const auto is_there = [&] {
        return position_is_restorable_ && position_.generation == position.generation &&
               !position_.before(position);
    };
    while (!is_there()) {
        if (is_fenced_.load()) return false;
        if (give_up_on_error && (errors_ != errors || !last_error_.empty())) return false;
        const std::int64_t left = deadline - steady_clock_ms();
        if (left <= 0) return false;
        changed_.wait_for(lock, std::chrono::milliseconds(std::min<std::int64_t>(left, kAskStopMs)));
        lock.unlock();
        const bool is_stopped = stop && stop();
        lock.lock();
        if (is_stopped) return false;
    }
    return true;
}

Result<Position> Replicator::snapshot(int timeout_ms, const std::function<bool()>& stop) {
    const std::int64_t deadline = steady_clock_ms() + timeout_ms;
    std::unique_lock lock(mutex_);
    const std::uint64_t done = snapshots_done_;
    snapshot_wanted_ = true;
    lock.unlock();
    sync_now();
    lock.lock();
    while (snapshots_done_ == done) {
        if (is_fenced_.load()) return bad_input(last_error_);
        const std::int64_t left = deadline - steady_clock_ms();
        if (left <= 0) {
            return Error{ErrorCode::kBusy, client_->url() + ": no snapshot within " +
                                               format_duration(timeout_ms) +
                                               (last_error_.empty() ? "" : ": " + last_error_)};
        }
        changed_.wait_for(lock, std::chrono::milliseconds(std::min<std::int64_t>(left, kAskStopMs)));
        lock.unlock();
        const bool is_stopped = stop && stop();
        lock.lock();
        if (is_stopped) return Error{ErrorCode::kInterrupt, "interrupted"};
    }
    return *snapshot_result_;
}

// --- The job ---

void Replicator::work() {
    if (stopping_.load() || is_fenced_.load()) return;
    set_state(has_snapshot_ ? "syncing" : "snapshot");
    Status status = sync_once();
    if (status && knows_position_) status = take_wanted_snapshot();
    if (status && knows_position_ && !is_fenced_.load()) status = take_due_snapshot();
    // Somebody else may have written there.
    if (!status && status.error().code == ErrorCode::kExists && knows_position_) {
        if (auto owned = check_owner(position().generation); !owned) status = std::move(owned);
    }
    if (status && knows_position_ && !is_fenced_.load()) retain();
    finish_work(status);
}

void Replicator::finish_work(const Status& status) {
    const bool behind = status && !store_.generation().empty() && position() != store_.end();
    std::int64_t delay_ms = 0;
    if (status) {
        sync_back_off_.succeeded();
    } else {
        delay_ms = sync_back_off_.failed();
        knows_position_ = false;  // what got through is asked afresh
    }
    std::string error_before;
    std::string error;
    {
        const std::lock_guard lock(mutex_);
        error_before = last_error_;
        if (is_fenced_.load()) {
            state_ = "fenced";  // last_error_ says why
        } else if (!status) {
            state_ = "retrying";
            last_error_ = status.error().message;
        } else {
            state_ = store_.generation().empty() ? "starting" : "ok";
            last_error_.clear();
            if (!behind) synced_ms_ = options_.clock.wall_ms();
        }
        retry_ms_ = delay_ms > 0 && !is_fenced_.load() ? options_.clock.wall_ms() + delay_ms : 0;
        if (!last_error_.empty()) ++errors_;
        error = last_error_;
    }
    changed_.notify_all();
    if (error != error_before && !stopping_.load())
        record(error.empty() ? "replica_recovered" : "replica_error", error);
    if (stopping_.load() || is_fenced_.load()) return;
    not_before_ms_.store(status ? 0 : scheduler_.now_ms() + delay_ms);
    if (!status) return wake_in(delay_ms);
    if (behind) wake_in(options_.sync_interval_ms);
    const std::int64_t now_ms = options_.clock.steady_ms();
    if (const auto due_ms = snapshot_due_ms()) wake_in(std::max<std::int64_t>(*due_ms - now_ms, 1));
    if (retention_not_before_ms_ > 0) wake_in(std::max<std::int64_t>(retention_not_before_ms_ - now_ms, 1));
}

void Replicator::record(std::string_view kind, const std::string& detail) const {
    if (options_.owner.database.empty()) return;
    const std::string what = options_.name + " (" + client_->url() + ")";
    record_event(options_.owner.database, kind, detail.empty() ? what : what + ": " + detail);
}

void Replicator::wake_in(std::int64_t delay_ms) { job_->wake_at(scheduler_.now_ms() + delay_ms); }

void Replicator::set_position(const Position& position) {
    const bool has_everything = has_snapshot_ && position == store_.end();
    {
        const std::lock_guard lock(mutex_);
        position_ = position;
        position_is_restorable_ = has_snapshot_;
        if (has_everything) {  // a waiter that looks now sees no unfinished work
            state_ = "ok";
            synced_ms_ = options_.clock.wall_ms();
        }
    }
    store_.set_cursor(options_.name, position);
    changed_.notify_all();
}

void Replicator::set_state(const char* state) {
    const std::lock_guard lock(mutex_);
    state_ = state;
}

// --- Snapshots ---

// Only kBusy is tried again; any other error is for whoever asked.
Status Replicator::take_wanted_snapshot() {
    {
        const std::lock_guard lock(mutex_);
        if (!snapshot_wanted_) return {};
    }
    set_state("snapshot");
    auto taken = publish_snapshot();
    if (!taken && taken.error().code == ErrorCode::kBusy) return taken.error();
    {
        const std::lock_guard lock(mutex_);
        snapshot_wanted_ = false;
        snapshot_result_ = std::move(taken);
        ++snapshots_done_;
    }
    changed_.notify_all();
    return {};
}

std::optional<std::int64_t> Replicator::snapshot_due_ms() const {
    if (!last_snapshot_) return std::nullopt;
    return litestream::snapshot_due_ms(*last_snapshot_, position(), options_.snapshot_interval_ms);
}

Status Replicator::take_due_snapshot() {
    const auto due_ms = snapshot_due_ms();
    if (!due_ms || *due_ms > options_.clock.steady_ms()) return {};
    set_state("snapshot");
    LITESTREAM_TRY(publish_snapshot());
    return {};
}

// --- Retention ---

// Its errors are shown, but what matters is that the replica has everything. Who may not remove files will
// not be allowed to in a minute either: the next snapshot asks again, and until then nothing does.
void Replicator::retain() {
    if (options_.retention_ms <= 0 || !retention_due_ || !has_snapshot_ || stopping_.load()) return;
    if (options_.clock.steady_ms() < retention_not_before_ms_) return;
    const std::int64_t now_ms = options_.clock.wall_ms();
    const Status status = remove_old(now_ms);
    const bool is_refused = !status && status.error().code == ErrorCode::kAuth;
    retention_due_ = !status && !is_refused;
    retention_not_before_ms_ = 0;
    if (!retention_due_) {
        retention_back_off_.succeeded();
    } else if (!is_fenced_.load()) {
        retention_not_before_ms_ = options_.clock.steady_ms() + retention_back_off_.failed();
    }
    note_retention(status, now_ms);
}

// An event where the trouble begins, changes its kind or ends: which files it is about changes all the time.
void Replicator::note_retention(const Status& status, std::int64_t now_ms) {
    const std::string what = status ? "" : "removing old files: " + status.error().message;
    {
        const std::lock_guard lock(mutex_);
        retention_error_ = what;
        if (status) retained_ms_ = now_ms;
    }
    const auto trouble = status ? std::nullopt : std::optional(status.error().code);
    if (trouble == retention_trouble_ || trouble == ErrorCode::kInterrupt || is_fenced_.load()) return;
    retention_trouble_ = trouble;
    record(status ? "retention_recovered" : "retention_error", what);
}

Status Replicator::remove_old(std::int64_t now_ms) {
    const std::string current = position().generation;
    LITESTREAM_TRY(check_owner(current));
    const std::int64_t keep_from_ms = now_ms - options_.retention_ms;
    LITESTREAM_ASSIGN(auto generations, load_snapshots(*client_));
    RetentionPlan plan = plan_retention(generations, current, keep_from_ms);
    const bool can_take = last_snapshot_ && position().index > last_snapshot_->index;
    if (plan.wants_snapshot && can_take) {
        LITESTREAM_TRY(publish_snapshot());
        LITESTREAM_ASSIGN(generations, load_snapshots(*client_));
        plan = plan_retention(generations, current, keep_from_ms);
    }
    return carry_out(*client_, plan, stopping_);
}

}  // namespace litestream
