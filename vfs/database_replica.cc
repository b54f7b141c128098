// What a Database knows while it is a live replica: how far the applier has come, and what SQLite's wal-index
// said then.

#include <algorithm>

#include "shared/base/clock.h"
#include "shared/base/directory.h"
#include "vfs/applied_log.h"
#include "vfs/database.h"

namespace litestream {

namespace {

constexpr std::size_t kKnownStates = 256;
constexpr int kAskStopMs = 250;

bool is_same_moment(const WalIndexHeader& a, const WalIndexHeader& b) {
    if (a.frame_count == 0 || b.frame_count == 0) return a.change == b.change;  // the log began anew
    return a.frame_count == b.frame_count && a.salts == b.salts && a.frame_checksum == b.frame_checksum;
}

}  // namespace

Status Database::begin_replica() {
    if (is_replica()) return {};
    if (wants_capture() || exclusive_.kind() != ExclusiveWal::Kind::kNone) {
        return bad_input(path_ + ": is captured, or in exclusive locking mode");
    }
    LITESTREAM_ASSIGN(const unsigned mode, file_mode());
    LITESTREAM_TRY(make_real_directory(store_.path(), mode | (mode & 0444) >> 2));
    AppliedLog log;
    LITESTREAM_TRY(log.open(store_.path(), mode));
    LITESTREAM_TRY(sync_directory(store_.path()));
    is_replica_.store(true);
    return {};
}

// The proofs of a primary go first: without them, nothing can take the segments of the old primary for the
// predecessors of what is written here.
Status Database::end_replica(const std::string& reason) {
    for (const char* proof : {"clean-close", "at-rest", "restarted"}) {
        LITESTREAM_TRY(remove_file(join_path(store_.path(), proof)));
    }
    LITESTREAM_TRY(remove_file(AppliedLog::path_in(store_.path())));
    LITESTREAM_TRY(sync_directory(store_.path()));
    const std::lock_guard lock(state_mutex_);
    promoted_ = reason;
    applied_.clear();
    is_replica_.store(false);
    return {};
}

std::string Database::promoted() const {
    const std::lock_guard lock(state_mutex_);
    return promoted_;
}

void Database::end_promotion() {
    const std::lock_guard lock(state_mutex_);
    promoted_.clear();
}

void Database::publish_applied(const SourceState& state, const WalIndexHeader& header,
                               std::uint64_t commits) {
    applied_commits_.store(commits);
    const std::lock_guard lock(state_mutex_);
    if (applied_.size() == kKnownStates) applied_.pop_front();
    applied_.push_back({state, header});
    captured_.notify_all();
}

std::optional<SourceState> Database::applied_state() const {
    const std::lock_guard lock(state_mutex_);
    return applied_.empty() ? std::nullopt : std::optional(applied_.back().state);
}

std::optional<SourceState> Database::applied_at(const WalIndexHeader& header) const {
    const std::lock_guard lock(state_mutex_);
    const auto found = std::find_if(applied_.rbegin(), applied_.rend(), [&](const Applied& applied) {
        return is_same_moment(applied.header, header);
    });
    return found == applied_.rend() ? std::nullopt : std::optional(found->state);
}

Position Database::applied() const {
    const auto state = applied_state();
    return state ? state->position : Position();
}

std::int64_t Database::applied_commit_ms() const {
    const auto state = applied_state();
    return state ? state->time_ms : 0;
}

bool Database::wait_applied(const Position& position, int timeout_ms, const std::function<bool()>& stop) {
    const std::int64_t deadline = steady_clock_ms() + timeout_ms;
    const auto is_reached = [&] {
        if (applied_.empty()) return false;
        const Position& now = applied_.back().state.position;
        return now.generation == position.generation && !now.before(position);
    };
    std::unique_lock lock(state_mutex_);
    while (!is_reached()) {
        const std::int64_t left = deadline - steady_clock_ms();
        if (left <= 0) return false;
        const std::int64_t nap = stop ? std::min<std::int64_t>(left, kAskStopMs) : left;
        captured_.wait_for(lock, std::chrono::milliseconds(nap));
        lock.unlock();
        const bool stopped = stop && stop();
        lock.lock();
        if (stopped) return false;
    }
    return true;
}

}  // namespace litestream
