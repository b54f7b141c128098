#include "ext/follower.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "ext/host_check.h"
#include "ext/http_service.h"
#include "ext/replication.h"
#include "ext/upstream.h"
#include "shared/base/clock.h"
#include "shared/base/events.h"
#include "shared/base/log.h"
#include "shared/base/random.h"
#include "shared/base/text.h"
#include "shared/base/threads.h"
#include "shared/net/token.h"
#include "shared/replica/directory_follower.h"
#include "shared/store/replica_feed.h"

namespace litestream {
namespace {

constexpr std::int64_t kFirstDelayMs = 100;
constexpr std::int64_t kMaxDelayMs = 10'000;
constexpr std::int64_t kStandByMs = 1000;
constexpr std::size_t kJitterBytes = 4;

// Half of it to one and a half: many replicas do not come back to a server all at once.
std::int64_t with_jitter(std::int64_t delay_ms) {
    const auto random = parse_hex(random_hex(kJitterBytes), "random");
    return delay_ms / 2 + static_cast<std::int64_t>(random ? *random : 0) % (delay_ms + 1);
}

Result<std::string> token_of(const UpstreamSpec& upstream) {
    if (!upstream.token_file.empty()) return read_token_file(upstream.token_file);
    return token_from_environment();
}

Error interrupted() { return {ErrorCode::kInterrupt, "stopped"}; }

bool is_refusal(const Error& error) {
    return error.code == ErrorCode::kInput || error.code == ErrorCode::kCorrupt ||
           error.code == ErrorCode::kAuth;
}

bool is_storage(const std::string& url) { return url.starts_with("file:") || url.starts_with("s3:"); }

}  // namespace

// What the thread works with. The applier stays for as long as there is one, since what it knows of the
// database is worth keeping, and so does the client of a stream, which knows how long its server takes to
// answer, with the feed that it refers to.
struct Follower::Session {
    std::unique_ptr<Applier> applier;
    std::unique_ptr<ReplicaFeed> feed;
    std::shared_ptr<StreamClient> stream;    // http and https
    std::shared_ptr<ReplicaClient> storage;  // file and s3
    std::unique_ptr<DirectoryFollower> directory;
    Position seen;
    std::uint64_t seen_snapshots = 0;
    bool has_delivered = false;  // since the last attempt began
    bool is_stale = false;       // something was on its way: the store and the feed may stand anywhere
    Position refused_at;  // where what came did not follow; twice the same, and only a snapshot can help
    bool needs_snapshot = false;
};

Follower::Follower(Database& database, UpstreamSpec upstream, bool goes_on)
    : database_(database), upstream_(std::move(upstream)), goes_on_(goes_on) {}

void Follower::start() {
    const BlockedSignals blocked;
    thread_ = std::thread([this] { run(); });
}

void Follower::stop() {
    std::shared_ptr<StreamClient> client;
    std::shared_ptr<ReplicaClient> storage;
    {
        const std::lock_guard lock(mutex_);
        is_stopped_ = true;
        client = client_;
        storage = storage_;
        changed_.notify_all();
    }
    if (client) client->stop();
    if (storage) storage->cancel();
    if (thread_.joinable()) thread_.join();
}

// --- The thread ---

void Follower::run() {
    Session session;
    session.needs_snapshot = !goes_on_;
    std::int64_t delay_ms = kFirstDelayMs;
    while (!is_stopped()) {
        const Error error = guarded_attempt(session);
        if (is_stopped()) break;
        if (session.applier == nullptr && error.code == ErrorCode::kBusy) {
            note_standing_by(error);
            wait(kStandByMs);
            continue;
        }
        note_error(error);
        if (session.has_delivered && error.code != ErrorCode::kCorrupt) delay_ms = kFirstDelayMs;
        wait(with_jitter(delay_ms));
        delay_ms = std::min(delay_ms * 2, kMaxDelayMs);
    }
    end_source(session);
}

Error Follower::guarded_attempt(Session& session) {
    try {
        return attempt(session);
    } catch (const std::exception& error) {
        return {ErrorCode::kIo, error.what()};
    }
}

Error Follower::attempt(Session& session) {
    session.is_stale |= std::exchange(session.has_delivered, false);
    LITESTREAM_TRY(open_applier(session));
    LITESTREAM_TRY(open_feed(session));
    if (session.directory) return look_again(session);
    const std::uint64_t before = session.stream->progress().received_bytes;
    Error error = session.stream->run();
    session.has_delivered |= session.stream->progress().received_bytes != before;
    note_refused(session, error);
    // Refused: perhaps the file of the token says another one by now.
    if (error.code == ErrorCode::kInput) end_source(session);
    return error;
}

// The same again would be answered with the same: what the replica has is not what it would have to follow.
void Follower::note_refused(Session& session, const Error& error) {
    const Position at = session.feed->state().position;
    if (error.code != ErrorCode::kCorrupt || at.empty()) return;
    session.needs_snapshot = session.refused_at == at;
    session.refused_at = at;
    if (!session.needs_snapshot) return;
    record_event(database_.path(), "upstream_diverged",
                 upstream_.url + ": nothing follows " + at.to_string() + "; a snapshot is asked for");
    session.feed->forget();
}

Status Follower::open_applier(Session& session) {
    if (session.applier) return {};
    LITESTREAM_ASSIGN(session.applier, Applier::open(database_));
    const std::string& reason = session.applier->reset_reason();
    if (!reason.empty()) record_event(database_.path(), "replica_reset", reason);
    const std::lock_guard lock(mutex_);
    state_ = State::kConnecting;
    last_error_.clear();
    changed_.notify_all();
    return {};
}

Status Follower::open_feed(Session& session) {
    if (session.is_stale && session.directory) end_source(session);
    if (!session.feed || session.is_stale) {
        session.is_stale = true;
        SegmentStore& store = database_.store();
        LITESTREAM_TRY(store.open(database_mode(database_.path())));
        if (!session.feed) session.feed = std::make_unique<ReplicaFeed>(store, *session.applier);
        LITESTREAM_TRY(session.feed->open());
        session.seen = session.feed->state().position;
        if (session.needs_snapshot) session.feed->forget();
        session.is_stale = false;
    }
    return session.stream || session.directory ? Status() : open_source(session);
}

Status Follower::open_source(Session& session) {
    return is_storage(upstream_.url) ? open_storage(session) : open_stream(session);
}

Status Follower::open_storage(Session& session) {
    LITESTREAM_ASSIGN(const Url url, Url::parse(upstream_.url));
    LITESTREAM_ASSIGN(session.storage, open_replica_client(url));
    {
        const std::lock_guard lock(mutex_);
        if (is_stopped_) return interrupted();
        storage_ = session.storage;
    }
    session.directory = std::make_unique<DirectoryFollower>(
        *session.storage, *session.feed,
        [this](const std::string& path, bool needed) { return needed ? check(path) : Status(); });
    return {};
}

Status Follower::open_stream(Session& session) {
    StreamSource source;
    LITESTREAM_ASSIGN(source.url, Url::parse(upstream_.url));
    LITESTREAM_ASSIGN(source.token, token_of(upstream_));
    source.path = source.url.path.empty() ? database_.path() : source.url.path;
    source.page_size = session.applier->page_size();
    source.meta_path = database_.store().path();
    source.check = [this](const std::string& path) { return check(path); };
    source.on_progress = [this, &session] { return on_progress(session); };
    session.stream = std::make_shared<StreamClient>(std::move(source), *session.feed);
    session.seen_snapshots = 0;
    const std::lock_guard lock(mutex_);
    if (is_stopped_) return interrupted();
    client_ = session.stream;
    return {};
}

Status Follower::check(const std::string& path) const {
    return quick_check(path, [this] { return is_stopped(); });
}

void Follower::end_source(Session& session) {
    const StreamProgress last = session.stream ? session.stream->progress() : StreamProgress();
    const RequestCounts counts = session.storage ? session.storage->request_counts() : RequestCounts();
    {
        const std::lock_guard lock(mutex_);
        client_.reset();
        storage_.reset();
        add_counts(requests_, counts);
        received_bytes_ += last.received_bytes;
        snapshots_ += last.snapshots;
    }
    session.directory.reset();
    session.storage.reset();
    session.stream.reset();
    session.feed.reset();
}

Error Follower::look_again(Session& session) {
    do {
        auto moved = session.directory->look();
        if (!moved) {
            Error error = std::move(moved).error();
            // Perhaps the file of the credentials says others by now.
            if (error.code == ErrorCode::kAuth) end_source(session);
            return error;
        }
        const Position now = session.feed->state().position;
        if (now.generation != session.seen.generation) note_snapshots(1);
        {
            const std::lock_guard lock(mutex_);
            end_ = now;
            state_ = State::kStreaming;
        }
        session.has_delivered |= *moved;
        LITESTREAM_TRY(on_progress(session));
    } while (wait(upstream_.interval_ms));
    return interrupted();
}

// --- What happened ---

// Nothing new: time to look whether somebody else wrote here. Then what is wanted next is a snapshot.
Status Follower::on_progress(Session& session) {
    const Position now = session.feed->state().position;
    if (now == session.seen) {
        if (auto rested = session.applier->idle(); !rested) {
            session.feed->forget();
            return rested;
        }
    }
    session.seen = now;
    session.has_delivered = true;
    if (!now.empty()) session.needs_snapshot = false;
    if (session.stream) {
        const std::uint64_t snapshots = session.stream->progress().snapshots;
        if (snapshots != session.seen_snapshots) note_snapshots(0);
        session.seen_snapshots = snapshots;
    }
    std::string recovered;
    {
        const std::lock_guard lock(mutex_);
        state_ = State::kStreaming;
        has_news_ = has_news_ || !now.empty();
        refusal_.reset();
        recovered.swap(last_error_);
        changed_.notify_all();
    }
    if (!recovered.empty()) record_event(database_.path(), "upstream_recovered", "it was: " + recovered);
    return {};
}

// `count`: of those that no client counts.
void Follower::note_snapshots(std::uint64_t count) {
    record_event(database_.path(), "upstream_snapshot", upstream_.url);
    const std::lock_guard lock(mutex_);
    snapshots_ += count;
}

void Follower::note_standing_by(const Error& error) {
    bool is_new = false;
    {
        const std::lock_guard lock(mutex_);
        is_new = std::exchange(state_, State::kStandingBy) != State::kStandingBy;
        last_error_ = error.message;
        changed_.notify_all();
    }
    if (is_new) record_event(database_.path(), "upstream_standby", error.message);
}

void Follower::note_error(const Error& error) {
    bool is_new = false;
    {
        const std::lock_guard lock(mutex_);
        is_new = state_ != State::kFailed || last_error_ != error.message;
        state_ = State::kFailed;
        last_error_ = error.message;
        if (is_refusal(error)) refusal_ = error;
        changed_.notify_all();
    }
    if (!is_new) return;
    log_line("litestream: " + database_.path() + ": upstream " + upstream_.url + ": " + error.message);
    record_event(database_.path(), "upstream_error", upstream_.url + ": " + error.message);
}

bool Follower::wait(std::int64_t milliseconds) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(milliseconds), [this] { return is_stopped_; });
    return !is_stopped_;
}

bool Follower::is_stopped() const {
    const std::lock_guard lock(mutex_);
    return is_stopped_;
}

}  // namespace litestream
