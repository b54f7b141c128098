// Primary: what capture and the snapshotter are to a replicator, without SQLite: commits become segments of a
// store, and every state of the database is remembered. Also a client that can be watched and made to fail.
//
// Primary: commits by one thread, pin() by any. WatchedClient: thread-bound like the client behind it.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "shared/format/wal.h"
#include "shared/replica/replicator.h"
#include "tests/replica/replica_files.h"

namespace litestream {

class Primary final : public ImageSource {
  public:
    // The store is `directory`/app.db-litestream.
    Primary(const std::string& directory, const std::string& generation);

    void begin_generation(const std::string& generation);
    Position commit();                       // one segment of two frames
    void next_index() { wal_ends_ = true; }  // the next commit begins a new WAL
    Result<std::unique_ptr<DatabaseImage>> pin() override;

    SegmentStore& store() { return store_; }
    std::string path() const { return path_; }
    Position position() const { return store_.end(); }
    const std::map<std::string, Bytes>& states() const { return states_; }  // by position, after each commit
    Bytes state(const Position& position) const { return states_.at(position.to_string()); }
    // The local file of the segment that ends there.
    std::string file_of(const Position& end) const;

  private:
    void begin_wal();
    void add_frame(std::uint32_t page_no, std::uint32_t commit_pages, Bytes& frames);
    Trailer trailer(Trailer::Kind kind) const;

    const std::string path_;
    SegmentStore store_;
    std::map<std::string, Bytes> states_;
    bool wal_ends_ = true;

    mutable std::mutex mutex_;
    // Guarded by mutex_:
    std::string generation_;
    WalHeader header_;
    std::uint64_t index_ = 0;
    std::uint64_t end_offset_ = 0;
    WalChecksum checksum_;
    std::uint64_t previous_end_ = 0;
    WalChecksum previous_checksum_;
    std::uint32_t commits_ = 0;
    Bytes database_;
};

// Passes everything on to another client, which it does not own, but asks first.
class WatchedClient final : public ReplicaClient {
  public:
    // `what`: "generations", "publish", "remove"...; an error is the answer.
    using Watcher = std::function<Status(const std::string& what, const std::string& name)>;

    WatchedClient(ReplicaClient& client, Watcher watcher) : client_(client), watcher_(std::move(watcher)) {}

    std::string url() const override { return client_.url(); }
    Result<std::vector<std::string>> generations() override;
    Result<std::vector<SnapshotInfo>> snapshots(const std::string& generation) override;
    Result<std::vector<SegmentInfo>> segments(const std::string& generation) override;
    Result<std::unique_ptr<Source>> open(const std::string& name) override;
    Result<std::optional<Trailer>> trailer(const std::string& name) override;
    Status publish(const std::string& name, const Producer& producer) override;
    Status replace(const std::string& name, const Producer& producer) override;
    Status settle(const Position& end) override;
    Status remove(const std::string& name) override;
    Status remove_remains(const std::string& generation) override;

  private:
    ReplicaClient& client_;
    const Watcher watcher_;
};

}  // namespace litestream
