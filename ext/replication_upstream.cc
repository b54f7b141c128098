// What a database follows: begun, remembered, taken up again at the next open, and ended.
#include <filesystem>
#include <utility>

#include "ext/follower.h"
#include "ext/replication.h"
#include "ext/upstream.h"
#include "shared/base/events.h"

namespace litestream {
namespace {

// Nothing is in it, by its size alone: it is just being opened, so that SQLite cannot be asked.
bool is_empty_file(const Database& database) {
    std::error_code error;
    const auto wal_bytes = std::filesystem::file_size(database.wal_path(), error);
    const bool has_wal = !error && wal_bytes > 0;
    const auto bytes = std::filesystem::file_size(database.path(), error);
    return !error && bytes == 0 && !has_wal;
}

}  // namespace

std::optional<UpstreamSpec> Replication::upstream() const {
    const std::lock_guard lock(mutex_);
    return upstream_;
}

std::shared_ptr<Follower> Replication::follower() const {
    const std::lock_guard lock(mutex_);
    return follower_;
}

void Replication::remember_upstream(std::optional<UpstreamSpec> upstream) {
    const std::lock_guard lock(mutex_);
    upstream_ = std::move(upstream);
}

Status Replication::follow(const UpstreamSpec& upstream, bool goes_on) {
    const std::lock_guard change(change_mutex_);
    stop_following("another upstream is followed");
    const auto before = this->upstream();
    remember_upstream(upstream);
    if (auto status = remember(specs()); !status) {
        remember_upstream(before);
        return status;
    }
    start_following(upstream, goes_on);
    set_why("", "");
    return {};
}

Status Replication::unfollow(std::optional<UpstreamSpec> remembered) {
    const std::lock_guard change(change_mutex_);
    if (remembered) remembered->is_followed = false;
    const auto before = upstream();
    if (before == remembered) return {};
    const char* why = remembered ? "by hand; it can be gone on with" : "forgotten";
    remember_upstream(std::move(remembered));
    if (auto status = remember(specs()); !status) {
        remember_upstream(before);
        return status;
    }
    stop_following(why);
    return {};
}

// What was stopped by hand is for another call to go on with.
void Replication::resume_upstream(const UpstreamSpec& upstream) {
    if (upstream.is_followed) return start_following(upstream, true);
    remember_upstream(upstream);
}

// Called with change_mutex_ held; a follower that another one replaces has ended.
void Replication::start_following(const UpstreamSpec& upstream, bool goes_on) {
    const auto follower = std::make_shared<Follower>(*database_, upstream, goes_on);
    follower->start();
    record_event(database_->path(), "upstream_started", upstream.url);
    const std::lock_guard lock(mutex_);
    upstream_ = upstream;
    follower_ = follower;
}

void Replication::stop_following(const char* why) {
    std::shared_ptr<Follower> follower;
    {
        const std::lock_guard lock(mutex_);
        follower.swap(follower_);
    }
    if (!follower) return;
    follower->stop();
    record_event(database_->path(), "upstream_stopped", follower->upstream().url + ": " + why);
}

void Replication::set_why_elsewhere(const Remembered& remembered) {
    set_why("not_followed", "it was set up to follow " + remembered.upstream->url + " as " +
                                remembered.database.path +
                                ", another file or on another machine, and follows nothing here; SELECT "
                                "litestream_stream(url,'{\"replace\":true}') follows");
}

// --- Asked for by the URI or the environment ---

void Replication::request_upstream(const std::string& url) {
    if (auto begun = begin_requested(url); !begun) set_why("upstream_refused", begun.error().message);
}

Status Replication::begin_requested(const std::string& url) {
    LITESTREAM_ASSIGN(const StreamRequest request, parse_stream_request(url, std::nullopt));
    const auto now = upstream();
    if (now && now->url == request.upstream.url && (follower() || !now->is_followed)) return {};
    LITESTREAM_TRY(check_followable(*this, request));
    const bool is_same = now && now->url == request.upstream.url;
    if (!is_same && !request.replace && !is_empty_file(*database_)) {
        return needs_replace(*this, request.upstream);
    }
    LITESTREAM_ASSIGN(auto following, Following::begin(*this, request.upstream));
    following.keep();
    return {};
}

}  // namespace litestream
