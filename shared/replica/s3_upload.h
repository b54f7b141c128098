// S3Upload: one object on its way into a store: a single PUT if it fits into one part, else a multipart
// upload, part by part, in the memory of one part.
//
// An object that must be new is published with If-None-Match: *. A first attempt whose answer was lost makes
// the second one fail with 412 at our own object: every object carries an id of its upload among its
// metadata, and before it counts as somebody else's it is looked at.
//
// Some stores know no If-None-Match: they refuse it, or pass over it. The first small object of a client
// tells: it is looked for first, and sent twice; the second time must be refused. Where it is not, objects
// are published after a look that finds nothing, and looked at again afterwards. That leaves a window in
// which the later of two writers wins, and S3Fence says so.
//
// What a store says of an object's bytes is compared with what was sent: other bytes under a name that counts
// as published would be taken for the real ones. They are read back, and sent again if they differ.
//
// Thread-bound; S3Fence: thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "shared/replica/s3_session.h"

namespace litestream {

class S3Fence {
  public:
    enum class Kind : std::uint8_t { kUnknown, kStore, kReadBack };

    Kind kind() const { return kind_.load(); }
    void set(Kind kind) { kind_.store(kind); }
    std::string note() const;  // "": nothing to worry about

  private:
    std::atomic<Kind> kind_ = Kind::kUnknown;
};

class S3Upload {
  public:
    enum class Existing : std::uint8_t { kRefused, kReplaced };

    // References outlive this.
    S3Upload(S3Session& session, S3Fence& fence, std::string key, Existing existing);

    Status write(ByteView bytes);
    // Once it is there, whole. kExists: somebody else's object is.
    Status finish();
    // Leaves nothing behind, where the store lets it.
    void abandon();

  private:
    bool is_new() const { return existing_ == Existing::kRefused; }
    bool is_conditional() const { return is_new() && fence_.kind() != S3Fence::Kind::kReadBack; }
    S3Request request(S3Kind kind, std::string method) const;
    S3Request put_request() const;
    Status put();
    Status probe();
    Status mend(const S3Request& put);
    Status check_bytes(S3Request put);
    Status begin();
    Status send_part();
    Status complete(bool is_conditional);
    Status check_free();
    Result<S3Answer> look_ours();
    Status check_ours();

    std::size_t part_size() const;

    S3Session& session_;
    S3Fence& fence_;
    const std::string key_;
    const Existing existing_;
    const std::string id_;            // of this upload, in the object's metadata
    Bytes buffer_;                    // of the part at hand
    std::string upload_id_;           // of a multipart upload that was begun
    std::vector<std::string> etags_;  // of its parts
};

}  // namespace litestream
