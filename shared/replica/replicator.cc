#include "shared/replica/replicator.h"

#include <fcntl.h>

#include <algorithm>
#include <chrono>

#include "shared/base/clock.h"
#include "shared/base/random.h"
#include "shared/base/text.h"
#include "shared/format/path.h"
#include "shared/replica/segment_merge.h"

namespace litestream {

namespace {

constexpr std::uint64_t kMergeBytes = 32u << 20;  // of WAL in one published segment, about
constexpr std::int64_t kMinBackOffMs = 500;
constexpr std::int64_t kMaxBackOffMs = 60'000;
constexpr int kAskStopMs = 250;

Error stopped() { return {ErrorCode::kInterrupt, "replication is stopping"}; }

// Several replicas that fail together must not come back together.
std::int64_t jittered(std::int64_t milliseconds) {
    const auto random = parse_hex(random_hex(4), "jitter");
    return milliseconds / 2 + static_cast<std::int64_t>(random ? *random : 0) % (milliseconds / 2 + 1);
}

}  // namespace

Replicator::Replicator(ReplicatorOptions options, std::unique_ptr<ReplicaClient> client, SegmentStore& store,
                       ImageSource& images, Scheduler& scheduler)
    : options_(std::move(options)), client_(std::move(client)), store_(store), images_(images) {
    store_.set_cursor(options_.name, {});
    job_ = scheduler.add_job([this] { work(); });
    subscription_ = store_.subscribe([this] {
        job_->wake_at(std::max(steady_clock_ms() + options_.sync_interval_ms, not_before_ms_.load()));
    });
    job_->wake();
}

Replicator::~Replicator() {
    stopping_.store(true);
    store_.unsubscribe(subscription_);
    // job_, destroyed first of the members, waits for the work at hand, which may still wake it.
}

void Replicator::sync_now() {
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
    status.pending_bytes = pending;
    status.last_error = last_error_;
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

void Replicator::work() {
    if (stopping_.load()) return;
    set_state(has_snapshot_ ? "syncing" : "snapshot");
    Status status = sync_once();
    bool wanted = false;
    {
        const std::lock_guard lock(mutex_);
        wanted = snapshot_wanted_;
    }
    if (wanted && status) {
        set_state("snapshot");
        auto taken = publish_snapshot();
        const bool later = !taken && taken.error().code == ErrorCode::kBusy;
        if (later) status = taken.error();
        const std::lock_guard lock(mutex_);
        if (!later) {
            snapshot_wanted_ = false;
            snapshot_result_ = std::move(taken);
            ++snapshots_done_;
        }
    }
    finish_work(status);
}

void Replicator::finish_work(const Status& status) {
    const bool behind = status && position() != store_.end();
    {
        const std::lock_guard lock(mutex_);
        if (status) {
            failures_ = 0;
            state_ = store_.generation().empty() ? "starting" : "ok";
            last_error_.clear();
            if (!behind) synced_ms_ = wall_clock_ms();
        } else {
            state_ = "retrying";
            last_error_ = status.error().message;
            ++errors_;
        }
    }
    changed_.notify_all();
    if (stopping_.load()) return;
    if (!status) {
        knows_position_ = false;  // what got through is asked afresh
        const std::int64_t back_off = std::min(kMinBackOffMs << std::min(failures_++, 8), kMaxBackOffMs);
        not_before_ms_.store(steady_clock_ms() + jittered(back_off));
        job_->wake_at(not_before_ms_.load());
    } else {
        not_before_ms_.store(0);
        if (behind) job_->wake_at(steady_clock_ms() + options_.sync_interval_ms);
    }
}

// Everything that the store has now, and a snapshot where its generation has none there.
Status Replicator::sync_once() {
    if (store_.generation().empty()) return {};  // capture has not begun; it will tell
    if (!knows_position_) LITESTREAM_TRY(find_position());
    while (!stopping_.load()) {
        const std::string current = store_.generation();
        const Position at = position();
        const auto segments = store_.segments_after(at, kMergeBytes);
        if (at.generation != current && (segments.empty() || !has_snapshot_)) {
            has_snapshot_ = false;
            set_position({current, 0, 0});
        } else if (!has_snapshot_ && at.generation == current) {
            LITESTREAM_TRY(publish_snapshot());
        } else if (segments.empty()) {
            return {};
        } else {
            LITESTREAM_TRY(upload(segments));
        }
    }
    return stopped();
}

// What the replica has of the current generation. A first segment that says where it ends is the truth.
Status Replicator::find_position() {
    const std::string generation = store_.generation();
    LITESTREAM_ASSIGN(const auto snapshots, client_->snapshots(generation));
    LITESTREAM_ASSIGN(const auto segments, client_->segments(generation));
    Position found{generation, 0, 0};
    if (!segments.empty()) {
        const SegmentInfo& last = segments.back();
        LITESTREAM_ASSIGN(const auto trailer, client_->trailer(last.name));
        if (!trailer || trailer->generation != generation || trailer->index != last.index) {
            return corrupt(client_->url() + "/" + last.name + ": is not a segment of this database's");
        }
        found = trailer->end();
    }
    has_snapshot_ = !snapshots.empty();
    knows_position_ = true;
    set_position(found);
    return {};
}

void Replicator::set_position(const Position& position) {
    const bool has_everything = has_snapshot_ && position == store_.end();
    {
        const std::lock_guard lock(mutex_);
        position_ = position;
        position_is_restorable_ = has_snapshot_;
        if (has_everything) {  // a waiter that looks now sees no unfinished work
            state_ = "ok";
            synced_ms_ = wall_clock_ms();
        }
    }
    store_.set_cursor(options_.name, position);
    changed_.notify_all();
}

void Replicator::set_state(const char* state) {
    const std::lock_guard lock(mutex_);
    state_ = state;
}

// Published only after the segments up to its position, so that whoever finds it can rely on them.
Result<Position> Replicator::publish_snapshot() {
    LITESTREAM_ASSIGN(const auto image, images_.pin());
    Trailer trailer = image->trailer();
    const Position at = trailer.end();
    if (at.generation != store_.generation()) return Error{ErrorCode::kBusy, "a new generation has begun"};
    if (!has_snapshot_) {
        // Replay begins with the snapshot's own index: nothing before it is needed.
        if (at.offset > 0 && !store_.has_index_from_start(at.generation, at.index)) {
            return Error{ErrorCode::kIo, store_.path() + ": the first segment of index " +
                                             to_hex16(at.index) + " is missing; it is needed for a snapshot"};
        }
        const Position from{at.generation, at.index, 0};
        if (position().generation != at.generation || position().before(from)) set_position(from);
    }
    LITESTREAM_TRY(upload_until(at));
    const std::string name = snapshot_path(at.generation, at.index);
    const Status published = client_->publish(name, [&](const Sink& sink) -> Status {
        PayloadWriter payload(sink);
        Bytes page(trailer.page_size);
        for (std::uint32_t page_no = 1; page_no <= trailer.page_count; ++page_no) {
            if (stopping_.load()) return stopped();
            LITESTREAM_TRY(image->read_page(page_no, page));
            LITESTREAM_TRY(payload.write(page));
        }
        return payload.finish(&trailer);
    });
    const bool was_there = !published && published.error().code == ErrorCode::kExists;
    if (!published && !was_there) return published.error();
    has_snapshot_ = true;
    set_position(position());
    if (!was_there) return at;
    LITESTREAM_ASSIGN(const auto existing, client_->trailer(name));
    if (!existing) return corrupt(client_->url() + "/" + name + ": is not a snapshot of this database's");
    return existing->end();
}

Status Replicator::upload_until(const Position& limit) {
    while (position().before(limit)) {
        if (stopping_.load()) return stopped();
        const auto segments = store_.segments_after(position(), kMergeBytes);
        if (segments.empty())
            return Error{ErrorCode::kBusy, "the segments up to the snapshot are not here yet"};
        LITESTREAM_TRY(upload(segments));
    }
    return {};
}

// An index follows the one before it only if that one ended where the replica ends.
Status Replicator::check_index_step(const Position& at, const SegmentRef& first) const {
    const std::string path = store_.file_of(first);
    LITESTREAM_ASSIGN(const File file, File::open(path, O_RDONLY));
    LITESTREAM_ASSIGN(const auto trailer, read_trailer(file));
    const bool follows = trailer && first.index == at.index + 1 && trailer->previous_end == at.offset;
    return follows ? Status() : corrupt(path + ": does not follow " + at.to_string());
}

Status Replicator::upload(const std::vector<SegmentRef>& segments) {
    const Position at = position();
    const SegmentRef& first = segments.front();
    const std::uint64_t start = first.index == at.index ? at.offset : 0;
    const Position end = segments.back().end_position();
    if (first.index != at.index && at.offset > 0) LITESTREAM_TRY(check_index_step(at, first));
    LITESTREAM_TRY(store_.promise(options_.name, end));
    const std::string name = segment_path(first.generation, first.index, start);
    LITESTREAM_TRY(client_->publish(
        name, [&](const Sink& sink) { return merge_segments(store_, segments, start, sink, stopping_); }));
    set_position(end);
    return {};
}

}  // namespace litestream
