// S3ReplicaClient: a replica in a bucket, below a prefix, of AWS S3 or of any store that speaks its protocol.
// Reads the layouts of Litestream e6f7c60 and of released 0.3, writes the first.
//
// An object appears whole or not at all: publish() needs no temporary name. What a multipart upload that
// nobody finished takes up is given back by remove_remains(), after a day, if something was removed and the
// store lets itself be asked. How objects are fenced: s3_upload.h; what is tried again: s3_session.h.
//
// Thread-bound, together with the sources that it opened; url(), fence_note(), request_counts() and cancel()
// by any thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "shared/replica/replica_client.h"
#include "shared/replica/s3_session.h"
#include "shared/replica/s3_upload.h"

namespace litestream {

// The sessions of a client's duplicates: cancelled and counted with it. Thread-safe.
class S3Duplicates {
  public:
    void add(std::shared_ptr<S3Session> session);
    void remove(const S3Session& session);  // what it counted stays
    void cancel();                          // also those that are added later
    std::uint64_t count(S3Kind kind) const;

  private:
    mutable std::mutex mutex_;
    std::vector<std::shared_ptr<S3Session>> sessions_;
    std::array<std::uint64_t, kS3Kinds> gone_ = {};  // counts of those that were removed
    bool is_cancelled_ = false;
};

class S3ReplicaClient final : public ReplicaClient {
  public:
    using Connect = std::function<std::unique_ptr<HttpTransport>()>;

    // `connect`: transports for duplicates, which then use `keys` from several threads; null: there are none.
    S3ReplicaClient(S3Location location, S3Keys keys, std::unique_ptr<HttpTransport> transport,
                    S3Options options = {}, Connect connect = nullptr);
    ~S3ReplicaClient() override;

    std::string url() const override { return url_; }
    Result<std::vector<std::string>> generations() override;
    Result<std::vector<SnapshotInfo>> snapshots(const std::string& generation) override;
    Result<std::vector<SegmentInfo>> segments(const std::string& generation) override;
    Result<std::vector<SegmentInfo>> segments_from(const Position& first) override;
    Result<std::unique_ptr<Source>> open(const std::string& name) override;
    Result<std::optional<Trailer>> trailer(const std::string& name) override;
    Result<FilePart> read_part(const std::string& name, std::uint64_t offset, std::size_t size,
                               const std::string& version) override;
    std::vector<std::unique_ptr<ReplicaClient>> duplicates(unsigned wanted) override;
    Status publish(const std::string& name, const Producer& producer) override;
    Status replace(const std::string& name, const Producer& producer) override;
    Status remove(const std::string& name) override;
    Status remove_all(const std::vector<std::string>& names) override;
    Status remove_remains(const std::string& generation) override;
    void cancel() override;
    std::map<std::string, std::uint64_t> request_counts() const override;
    std::string fence_note() const override { return fence_.note(); }

  private:
    enum class Depth { kFolder, kAll };
    using PageReader = std::function<Status(const S3Page&)>;

    // `behind`: below the folder; what comes before it and it itself are not listed.
    Status list(const std::string& folder, Depth depth, const PageReader& reader,
                const std::string& behind = {});
    Result<std::vector<SegmentInfo>> list_segments(const std::string& generation, const std::string& behind);
    Result<Bytes> read_end(const std::string& name, std::size_t size);
    Status write(const std::string& name, const Producer& producer, S3Upload::Existing existing);
    Status remove_batch(std::span<const std::string> names, FirstError& errors);

    const std::shared_ptr<S3Session> session_;  // shared with sources
    const S3Keys keys_;
    const Connect connect_;
    const std::shared_ptr<S3Duplicates> duplicates_ = std::make_shared<S3Duplicates>();
    std::shared_ptr<S3Duplicates> siblings_;  // if this is a duplicate
    const std::string url_;
    S3Fence fence_;
    bool has_removed_ = false;  // since remains were looked for
};

}  // namespace litestream
