// Replication: the replicas of one open database. It starts what is remembered (ext/remembered.h) when the
// database is opened, adds and removes replicas, and lets them finish when the database is closed.
//
// Thread-safe. Lock order: serve_mutex_ (one at a time adds what was requested), then change_mutex_ (one
// change at a time; held across local I/O and until a replica that is given up has ended), then a member's,
// then mutex_ (the list; innermost). None is held while SQL runs.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "ext/remembered.h"
#include "ext/replica_member.h"
#include "vfs/database.h"
#include "vfs/snapshotter.h"

namespace litestream {

class Follower;
struct NewReplica;

class Replication {
  public:
    using Members = std::vector<std::shared_ptr<ReplicaMember>>;

    // `validations`: a scheduler whose jobs may wait for those of the other.
    Replication(std::shared_ptr<Database> database, Scheduler& scheduler, Scheduler& validations);
    ~Replication();  // closed
    Replication(const Replication&) = delete;
    Replication& operator=(const Replication&) = delete;

    Database& database() const { return *database_; }
    ImageSource& images() { return snapshotter_; }

    // Starts what is remembered, the first time that it is called; others wait for it.
    void resume();

    // What a new replica would meet: nullopt, nothing; a name, this very replica is there already; kInput,
    // one that is in the way. `spec.name` may be empty: any.
    Result<std::optional<std::string>> find_same(const ReplicaSpec& spec) const;
    // Remembers it, then starts it; its name (made up from the URL's scheme if `spec.name` is empty).
    Result<std::string> add(NewReplica replica);
    // Starts it again if it is fenced; then it is ours.
    void adopt(const std::string& name, std::unique_ptr<ReplicaClient> client);
    // What marks a replica as this database's. Remembered before anybody learns it: else, after a kill -9,
    // the database would not know its own mark. forget_id(): nobody did, and nothing was remembered before.
    Result<Owner> owner();
    void forget_id();
    // False: no such replica.
    Result<bool> remove(const std::string& name_or_url);

    // A replica that is to be added once capture has begun, as the URL alone says it; the journal mode stays
    // as it is. What goes wrong is in why() and in an event. The work is a job's; whoever waits for replicas
    // serves what is due by now first.
    void request(std::string url);
    void serve_requests();

    // --- A live replica (replication_upstream.cc) ---

    // Remembers it, and follows it instead of what was followed before. The database has the role; `goes_on`:
    // and a state of this upstream in it.
    Status follow(const UpstreamSpec& upstream, bool goes_on);
    // Stops following. `remembered`: what the database is a replica of from here on, to be gone on with by
    // another call; nullopt: of nothing.
    Status unfollow(std::optional<UpstreamSpec> remembered);
    std::optional<UpstreamSpec> upstream() const;  // also one that is not followed now
    std::shared_ptr<Follower> follower() const;    // null: nothing is followed now
    // As the URI or the environment says it; returns at once. What goes wrong is in why() and in an event.
    void request_upstream(const std::string& url);

    Members members() const;
    // By name or URL; null: none.
    std::shared_ptr<ReplicaMember> find(const std::string& name_or_url) const;
    std::vector<ReplicatorStatus> statuses() const;
    std::string why() const;  // why what is remembered or requested is not followed; "" if it is

    // Waits until the replicas have what is captured, but not for one that has an error.
    void finish(int timeout_ms);
    void close();

  private:
    void start_remembered();
    void reload();
    void end_member(const std::shared_ptr<ReplicaMember>& member);
    std::vector<std::string> take_requests();
    Status add_requested(const std::string& url);
    std::shared_ptr<ReplicaMember> start(const ReplicaSpec& spec, std::unique_ptr<ReplicaClient> client,
                                         bool adopt);
    void start_or_keep(const ReplicaSpec& spec);
    Status remember(const std::vector<ReplicaSpec>& specs);
    std::vector<ReplicaSpec> specs() const;
    std::string free_name(const std::string& wish) const;
    void append(std::shared_ptr<ReplicaMember> member);
    Status begin_requested(const std::string& url);
    void start_following(const UpstreamSpec& upstream, bool goes_on);
    void stop_following(const char* why);
    void resume_upstream(const UpstreamSpec& upstream);
    void remember_upstream(std::optional<UpstreamSpec> upstream);
    void set_why(const char* kind, const std::string& why);
    void set_why_elsewhere(const Remembered& remembered);

    const std::shared_ptr<Database> database_;
    Scheduler& scheduler_;
    Scheduler& validations_;
    Snapshotter snapshotter_;
    std::once_flag resumed_;

    std::mutex change_mutex_;
    std::string id_;  // guarded by change_mutex_: the database's; empty: none yet

    mutable std::mutex mutex_;
    Members members_;                       // guarded by mutex_
    std::string why_;                       // guarded by mutex_
    std::vector<std::string> requested_;    // guarded by mutex_: URLs to be added
    std::optional<UpstreamSpec> upstream_;  // guarded by mutex_
    std::shared_ptr<Follower> follower_;    // guarded by mutex_

    std::mutex serve_mutex_;
    std::atomic<bool> has_requests_ = false;
    std::unique_ptr<Scheduler::Job> request_job_;
    // Before this process took over, another may have changed what is remembered; or it is gone.
    std::atomic<std::uint32_t> take_overs_seen_ = 0;
    std::unique_ptr<Scheduler::Job> reload_job_;
    int subscription_ = 0;
};

// As a replica's client writes the URL (of the query only the store's own options, no slash at the end), so
// that spellings compare equal;
// nullopt: no replica's URL.
std::optional<std::string> canonical_url(const std::string& text);

// The mode of files beside a database: its own permissions without x.
unsigned database_mode(const std::string& database_path);

}  // namespace litestream
