// TornSnapshot: the snapshot of an e6f7c60 server on its way to a consistent database. It is a plain copy of
// the file, taken while checkpoints may have written to it, and becomes consistent only once the frames of
// its index, from the first on, lie over it. Both go into a temporary file, which disappears with this
// object.
//
// The frames are verified here: lz4, header, salts, checksums, that they are contiguous from offset 0, and
// that each segment ends at a commit. Whether the result is a database in good order is for the caller to
// find out. After an error nothing of this object is worth anything.
//
// Thread-bound: the follower's thread.
#pragma once

#include <cstdint>
#include <string>

#include "shared/base/directory.h"
#include "shared/base/stream.h"
#include "shared/format/frame_chain.h"
#include "shared/store/replica_target.h"

namespace litestream {

class TornSnapshot {
  public:
    // `start`: generation and index. `page_size`: as the server named it.
    static Result<TornSnapshot> create(const std::string& directory, const Position& start,
                                       std::uint32_t page_size);

    // Once: the database file as it is, all of `pages`, which are `size_bytes`.
    Status take_pages(Source& pages, std::uint64_t size_bytes);
    // `time_ms`: of its last commit, where no trailer tells.
    Status take_segment(const Position& start, Source& payload, std::int64_t time_ms);
    // Cuts the file to what the last commit says.
    Status settle();

    const SourceState& state() const { return state_; }  // behind the last segment
    const std::string& path() { return temp_.file().path(); }
    File& file() { return temp_.file(); }
    std::uint64_t size_bytes() const { return size_bytes_; }

  private:
    TornSnapshot(TempFile temp, SourceState state) : temp_(std::move(temp)), state_(std::move(state)) {}
    Status check_first_page(ByteView bytes) const;
    Status check_start(const Position& start) const;
    FrameChain chain();
    Status write_frame(const FrameChain::Frame& frame);

    TempFile temp_;
    SourceState state_;
    std::uint64_t size_bytes_ = 0;
    std::uint32_t page_count_ = 0;  // after the last commit; 0: there was none
};

// A file as a Source, from its first byte to `size_bytes`; the file stays the caller's.
class FilePages final : public Source {
  public:
    FilePages(const File& file, std::uint64_t size_bytes) : file_(file), size_bytes_(size_bytes) {}
    Result<std::size_t> read(ByteSpan buffer) override;

  private:
    const File& file_;
    const std::uint64_t size_bytes_;
    std::uint64_t offset_ = 0;
};

}  // namespace litestream
