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

#include <functional>
#include <memory>
#include <string>

#include "shared/replica/replica_client.h"
#include "shared/replica/s3_session.h"
#include "shared/replica/s3_upload.h"

namespace litestream {

class S3ReplicaClient final : public ReplicaClient {
  public:
    S3ReplicaClient(S3Location location, S3Keys keys, std::unique_ptr<HttpTransport> transport,
                    S3Options options = {});

    std::string url() const override { return url_; }
    Result<std::vector<std::string>> generations() override;
    Result<std::vector<SnapshotInfo>> snapshots(const std::string& generation) override;
    Result<std::vector<SegmentInfo>> segments(const std::string& generation) override;
    Result<std::unique_ptr<Source>> open(const std::string& name) override;
    Result<std::optional<Trailer>> trailer(const std::string& name) override;
    Status publish(const std::string& name, const Producer& producer) override;
    Status replace(const std::string& name, const Producer& producer) override;
    Status remove(const std::string& name) override;
    Status remove_all(const std::vector<std::string>& names) override;
    Status remove_remains(const std::string& generation) override;
    void cancel() override { session_->cancel(); }
    std::map<std::string, std::uint64_t> request_counts() const override;
    std::string fence_note() const override { return fence_.note(); }

  private:
    enum class Depth { kFolder, kAll };
    using PageReader = std::function<Status(const S3Page&)>;

    Status list(const std::string& folder, Depth depth, const PageReader& reader);
    Result<Bytes> read_end(const std::string& name, std::size_t size);
    Status write(const std::string& name, const Producer& producer, S3Upload::Existing existing);
    Status remove_batch(std::span<const std::string> names, FirstError& errors);

    const std::shared_ptr<S3Session> session_;  // shared with sources
    const std::string url_;
    S3Fence fence_;
    bool has_removed_ = false;  // since remains were looked for
};

}  // namespace litestream
