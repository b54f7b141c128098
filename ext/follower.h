// Follower: keeps a live replica up to date, on a thread of its own: over HTTP
// (shared/stream/stream_client.h) or from a replica in a directory or a bucket
// (shared/replica/directory_follower.h), again and again until it is stopped.
//
// connecting -> streaming -> failed, and from there back to streaming; standing by while another process
// follows for the same database. A failed attempt is repeated after 100 ms, then twice as long each time up
// to 10 s, give or take a half; what came through in between begins the count anew.
//
// Thread-safe. mutex_ is held for values only, never across I/O, waiting or a call into the client but for
// its counts.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "ext/interrupt.h"
#include "ext/remembered.h"
#include "shared/replica/replica_client.h"
#include "shared/stream/stream_client.h"
#include "vfs/applier.h"

namespace litestream {

struct FollowerStatus {
    std::string url;
    std::string state;  // connecting, streaming, standing by, failed
    Position position;  // applied
    Position end;       // of the upstream, as it said last; empty: it does not tell
    std::optional<double> lag_seconds;
    std::string last_error;
    std::uint64_t received_bytes = 0;
    std::uint64_t snapshots = 0;
    RequestCounts requests;  // to a store that bills them; empty: to none
};

class Follower {
  public:
    // The database has the replica's role and outlives this. Unless it goes on, nothing that is in it is a
    // state of this upstream: a snapshot comes first.
    Follower(Database& database, UpstreamSpec upstream, bool goes_on);
    ~Follower() { stop(); }
    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;

    void start();  // once
    void stop();   // waits for the thread; hold nothing that it needs

    const UpstreamSpec& upstream() const { return upstream_; }
    FollowerStatus status() const;
    bool is_standing_by() const;
    // Until a consistent state is readable (`needs_news`: one that came through this follower). kInput,
    // kCorrupt and kAuth are what the upstream answered, and waiting does not heal.
    Status wait_ready(bool needs_news, Waiting& waiting);

  private:
    struct Session;
    enum class State { kConnecting, kStreaming, kStandingBy, kFailed };

    void run();
    // Until it ends; the error says why.
    Error attempt(Session& session);
    Error guarded_attempt(Session& session);
    void note_refused(Session& session, const Error& error);
    Status open_applier(Session& session);
    Status open_feed(Session& session);
    Status open_source(Session& session);
    Status open_stream(Session& session);
    Status open_storage(Session& session);
    Error look_again(Session& session);
    Status check(const std::string& path) const;
    void end_source(Session& session);
    Status on_progress(Session& session);
    void note_snapshots(std::uint64_t count);
    void note_standing_by(const Error& error);
    void note_error(const Error& error);
    bool wait(std::int64_t milliseconds);  // false: stopped
    bool is_stopped() const;
    bool is_ready(bool needs_news) const;
    StreamProgress progress() const;
    RequestCounts request_counts() const;
    std::optional<double> lag(const SourceState& applied, const FollowerStatus& status,
                              const StreamProgress& progress) const;

    Database& database_;
    const UpstreamSpec upstream_;
    const bool goes_on_;
    std::thread thread_;

    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    // Guarded by mutex_:
    bool is_stopped_ = false;
    State state_ = State::kConnecting;
    std::string last_error_;
    std::optional<Error> refusal_;  // of the last attempt, if another would get the same answer
    bool has_news_ = false;
    Position end_;                            // of a directory or a bucket
    std::shared_ptr<StreamClient> client_;    // null: none at work
    std::shared_ptr<ReplicaClient> storage_;  // likewise
    std::uint64_t received_bytes_ = 0;        // over clients that are gone
    std::uint64_t snapshots_ = 0;             // likewise; or of a directory or a bucket
    RequestCounts requests_;                  // to storages that are gone
};

}  // namespace litestream
