// Reading objects: one range of one version of an object, and S3Source, which reads an object front to back
// by such ranges of a few MiB each, kept in memory.
//
// A range that is cut goes on at the next byte, as often as it gets on. All ranges of one reader are of the
// object that the first one found (its ETag), so that two objects never mix. The first range, which is
// shorter, cannot go on: it is asked for again.
//
// Thread-bound, together with the client that opened it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "shared/base/stream.h"
#include "shared/replica/replica_client.h"
#include "shared/replica/s3_session.h"

namespace litestream {

// As ReplicaClient::read_part(); the version is the ETag as it stands in the answer. What lies behind the
// first range's size is asked for once the version is known.
Result<FilePart> read_s3_part(S3Session& session, const std::string& key, std::uint64_t offset,
                              std::size_t size, const std::string& version);

class S3Source final : public Source {
  public:
    // Asks for the first range. kNotFound: there is no such object.
    static Result<std::unique_ptr<Source>> open(std::shared_ptr<S3Session> session, const std::string& key);

    Result<std::size_t> read(ByteSpan buffer) override;

  private:
    S3Source(std::shared_ptr<S3Session> session, std::string key)
        : session_(std::move(session)), key_(std::move(key)) {}
    Status fill(std::size_t size);

    const std::shared_ptr<S3Session> session_;
    const std::string key_;
    FilePart part_;           // the range at hand
    std::size_t taken_ = 0;   // of its bytes, read
    std::uint64_t next_ = 0;  // where they end in the object
};

}  // namespace litestream
