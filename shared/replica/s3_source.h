// S3Source: an object read front to back by GETs of a few MiB each, which are kept in memory. A range that is
// cut goes on at the next byte; all ranges are of the object that the first one found (its ETag), so that two
// objects never mix. The first range, which is shorter, cannot go on: it is asked for again.
//
// Thread-bound, together with the client that opened it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "shared/base/stream.h"
#include "shared/replica/s3_session.h"

namespace litestream {

class S3Source final : public Source {
  public:
    // Asks for the first range. kNotFound: there is no such object.
    static Result<std::unique_ptr<Source>> open(std::shared_ptr<S3Session> session, const std::string& key);

    Result<std::size_t> read(ByteSpan buffer) override;

  private:
    S3Source(std::shared_ptr<S3Session> session, std::string key)
        : session_(std::move(session)), key_(std::move(key)) {}
    S3Request range(std::size_t size) const;  // from next_ on
    Status fill_first();
    Status fill();
    Error error(ErrorCode code, const std::string& why) const;

    const std::shared_ptr<S3Session> session_;
    const std::string key_;
    Bytes bytes_;             // the range at hand
    std::size_t taken_ = 0;   // of them, read
    std::uint64_t next_ = 0;  // where they end in the object
    std::uint64_t size_ = 0;  // of the object
    std::string etag_;        // as it stands in the answer
};

}  // namespace litestream
