// What others may ask a Follower while it works: whether a state is readable, and how it is.
#include <algorithm>
#include <chrono>

#include "ext/follower.h"
#include "ext/upstream.h"
#include "shared/base/clock.h"

namespace litestream {
namespace {

constexpr std::int64_t kAskStopMs = 250;

}  // namespace

bool Follower::is_standing_by() const {
    const std::lock_guard lock(mutex_);
    return state_ == State::kStandingBy;
}

// Where another process follows, what it applied is readable here too.
bool Follower::is_ready(bool needs_news) const {
    if (is_standing_by()) return !needs_news && !replica_state(database_).position.empty();
    if (database_.applied().empty()) return false;
    const std::lock_guard lock(mutex_);
    return has_news_ || !needs_news;
}

Status Follower::wait_ready(bool needs_news, Waiting& waiting) {
    while (!is_ready(needs_news)) {
        std::string last_error;
        {
            std::unique_lock lock(mutex_);
            if (refusal_) return Error(*refusal_).context(upstream_.url);
            if (is_stopped_) return Error{ErrorCode::kInterrupt, upstream_.url + ": following was stopped"};
            const auto nap = std::min<std::int64_t>(waiting.left_ms(), kAskStopMs);
            changed_.wait_for(lock, std::chrono::milliseconds(nap));
            last_error = last_error_;
        }
        if (!waiting.is_over() && !waiting.is_interrupted()) continue;
        if (is_ready(needs_news)) return {};
        return waiting.failure(
            "no state of " + upstream_.url + " is readable yet" +
            (last_error.empty() ? "; it has not answered" : "; the last error: " + last_error));
    }
    return {};
}

// --- Looking ---

StreamProgress Follower::progress() const {
    std::shared_ptr<StreamClient> client;
    {
        const std::lock_guard lock(mutex_);
        client = client_;
    }
    return client ? client->progress() : StreamProgress();
}

// A storage that ends meanwhile is counted once: either it is still there or it is not.
RequestCounts Follower::request_counts() const {
    const std::lock_guard lock(mutex_);
    RequestCounts counts = requests_;
    if (storage_) add_counts(counts, storage_->request_counts());
    return counts;
}

// By the upstream's clock where it is known: the commit was made there.
std::optional<double> Follower::lag(const SourceState& applied, const FollowerStatus& status,
                                    const StreamProgress& progress) const {
    if (status.state == "streaming" && !status.end.empty() && status.end == applied.position) return 0.0;
    if (applied.time_ms == 0) return std::nullopt;
    std::int64_t now_ms = wall_clock_ms();
    if (progress.upstream_clock_ms != 0) now_ms += progress.upstream_clock_ms - progress.heard_ms;
    return static_cast<double>(std::max<std::int64_t>(now_ms - applied.time_ms, 0)) / 1000;
}

FollowerStatus Follower::status() const {
    static constexpr const char* kNames[] = {"connecting", "streaming", "standing by", "failed"};
    const StreamProgress now = progress();
    const RequestCounts requests = request_counts();
    const SourceState applied = replica_state(database_);
    FollowerStatus status;
    {
        const std::lock_guard lock(mutex_);
        const bool is_lost = client_ != nullptr && state_ == State::kStreaming && !now.is_connected;
        status.state = kNames[static_cast<int>(now.is_connected ? State::kStreaming
                                               : is_lost        ? State::kConnecting
                                                                : state_)];
        status.last_error = now.is_connected ? "" : last_error_;
        status.received_bytes = received_bytes_ + now.received_bytes;
        status.snapshots = snapshots_ + now.snapshots;
        status.end = client_ != nullptr ? now.upstream_end : end_;
    }
    status.url = upstream_.url;
    status.requests = requests;
    status.position = applied.position;
    status.lag_seconds = lag(applied, status, now);
    return status;
}

}  // namespace litestream
