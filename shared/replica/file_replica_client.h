// FileReplicaClient: a replica in a directory, file:///ABSOLUTE/PATH. Reads the layouts of Litestream e6f7c60
// (wal/INDEX/OFFSET.wal.lz4) and of released 0.3 (wal/INDEX_OFFSET.wal.lz4), writes the first.
//
// publish() writes NAME.tmp-RANDOM beside the target, syncs it, renames it to a name that nobody has, and
// syncs the directory and every directory that it created: after power loss the whole file is there, or
// nothing of it. The temporary name is random because somebody else may be writing the same file. Where the
// directory is not the one that was listed before (removed, replaced, another disk mounted), one publish()
// fails: what the replica has must be asked afresh.
// Thread-bound.
#pragma once

#include <string>

#include "shared/base/directory.h"
#include "shared/replica/replica_client.h"

namespace litestream {

class FileReplicaClient final : public ReplicaClient {
  public:
    // kInput: not an absolute path on this machine, or a key in the query.
    static Result<std::unique_ptr<ReplicaClient>> create(const Url& url, unsigned mode);

    std::string url() const override { return url_; }
    Result<std::vector<std::string>> generations() override;
    Result<std::vector<SnapshotInfo>> snapshots(const std::string& generation) override;
    Result<std::vector<SegmentInfo>> segments(const std::string& generation) override;
    Result<std::unique_ptr<Source>> open(const std::string& name) override;
    Result<std::optional<Trailer>> trailer(const std::string& name) override;
    Status publish(const std::string& name, const Producer& producer) override;
    Status replace(const std::string& name, const Producer& producer) override;
    Status settle(const Position& end) override;
    Status remove(const std::string& name) override;
    Status remove_all(const std::vector<std::string>& names) override;
    Status remove_remains(const std::string& generation) override;

  private:
    FileReplicaClient(std::string url, std::string root, unsigned mode)
        : url_(std::move(url)), root_(std::move(root)), mode_(mode) {}
    std::string path_of(const std::string& name) const;
    Status write(const std::string& name, const Producer& producer, Replace replace);
    Status check_root();
    Status add_index(const std::string& generation, const std::string& name, std::vector<SegmentInfo>& out);
    Status add_segment(SegmentInfo info, std::vector<SegmentInfo>& out) const;

    const std::string url_;
    const std::string root_;
    const unsigned mode_;                    // of new files
    std::optional<FileIdentity> seen_root_;  // what was last listed or written into; nullopt: nothing yet
};

}  // namespace litestream
