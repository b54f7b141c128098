// Replication: the replicas of one open database. It starts what is remembered (ext/remembered.h) when the
// database is opened, adds and removes replicas, and lets them finish when the database is closed.
//
// Thread-safe. Lock order: change_mutex_ (one change at a time; held across local I/O and until a replica
// that is given up has ended), then a member's, then mutex_ (the list; innermost). None is held while SQL
// runs.
#pragma once

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

class Replication {
  public:
    using Members = std::vector<std::shared_ptr<ReplicaMember>>;

    Replication(std::shared_ptr<Database> database, Scheduler& scheduler);
    ~Replication();  // closed
    Replication(const Replication&) = delete;
    Replication& operator=(const Replication&) = delete;

    Database& database() const { return *database_; }

    // Starts what is remembered, the first time that it is called; others wait for it.
    void resume();

    // What a new replica would meet: nullopt, nothing; a name, this very replica is there already; kInput,
    // one that is in the way. `spec.name` may be empty: any.
    Result<std::optional<std::string>> find_same(const ReplicaSpec& spec) const;
    // Remembers it, then starts it; its name (made up from the URL's scheme if `spec.name` is empty).
    Result<std::string> add(ReplicaSpec spec, std::unique_ptr<ReplicaClient> client);
    // False: no such replica.
    Result<bool> remove(const std::string& name_or_url);

    Members members() const;
    // By name or URL; null: none.
    std::shared_ptr<ReplicaMember> find(const std::string& name_or_url) const;
    std::vector<ReplicatorStatus> statuses() const;
    std::string why() const;  // why what is remembered is not followed; "" if it is

    // Waits until the replicas have what is captured, but not for one that has an error.
    void finish(int timeout_ms);
    void close();

  private:
    void start_remembered();
    std::shared_ptr<ReplicaMember> start(const ReplicaSpec& spec, std::unique_ptr<ReplicaClient> client);
    void start_or_keep(const ReplicaSpec& spec);
    Status remember(const std::vector<ReplicaSpec>& specs);
    std::vector<ReplicaSpec> specs() const;
    std::string free_name(const std::string& wish) const;
    void append(std::shared_ptr<ReplicaMember> member);
    void set_why(std::string why);

    const std::shared_ptr<Database> database_;
    Scheduler& scheduler_;
    Snapshotter snapshotter_;
    std::once_flag resumed_;

    std::mutex change_mutex_;
    std::string id_;  // guarded by change_mutex_: the database's; empty: none yet

    mutable std::mutex mutex_;
    Members members_;  // guarded by mutex_
    std::string why_;  // guarded by mutex_
};

// As a replica's client writes the URL (no query, no slash at the end), so that spellings compare equal;
// nullopt: no replica's URL.
std::optional<std::string> canonical_url(const std::string& text);

// The mode of files beside a database: its own permissions without x.
unsigned database_mode(const std::string& database_path);

}  // namespace litestream
