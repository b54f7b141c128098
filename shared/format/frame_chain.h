// FrameChain: verifies the WAL of one index, byte by byte, as it arrives in pieces of any size: the header,
// then salt and checksum of every frame, and that it ends at a commit. Memory: one frame.
//
// Thread-bound. The frame handed to the callback is already verified.
#pragma once

#include <functional>

#include "shared/base/stream.h"
#include "shared/format/wal.h"

namespace litestream {

class FrameChain {
  public:
    // A verified frame; `end_offset`: offset in the WAL just behind it.
    struct Frame {
        FrameHeader header;
        ByteView page;
        std::uint64_t end_offset = 0;
    };
    using OnFrame = std::function<Status(const Frame&)>;

    // A chain from the header on (offset 0) ...
    explicit FrameChain(OnFrame on_frame);
    // ... or from a frame boundary: `header` and the offset and checksum where the last frame ended.
    FrameChain(const WalHeader& header, std::uint64_t offset, WalChecksum checksum, OnFrame on_frame);

    // kCorrupt: "offset 0x1038: checksum does not match" and the like; or what the callback returned. After
    // an error the chain is done for: the caller feeds it nothing more.
    Status feed(ByteView bytes);
    // Behind the last piece: kCorrupt inside a header or frame, or behind a frame that is no commit.
    Status finish() const;

    bool has_header() const { return has_header_; }
    const WalHeader& header() const { return header_; }  // once has_header()
    std::uint64_t offset() const { return offset_; }     // behind the last verified header or frame
    WalChecksum checksum() const { return checksum_; }   // there
    bool at_commit() const { return at_commit_; }        // no frame yet counts as a commit

  private:
    std::size_t next_size() const;  // of the header or frame that comes next
    Status take(ByteView bytes);    // exactly one of them
    Status take_header(ByteView bytes);
    Status take_frame(ByteView bytes);
    OnFrame on_frame_;
    WalHeader header_;
    bool has_header_ = false;
    bool at_commit_ = true;
    std::uint64_t offset_ = 0;
    WalChecksum checksum_;
    Bytes pending_;  // an incomplete header or frame
};

}  // namespace litestream
