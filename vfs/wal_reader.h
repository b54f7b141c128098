// WalReader: the live -wal file, read through a descriptor of our own (it carries no SQLite locks). What is
// read counts only if the wal-index says, before and after, that the life of the WAL is still the same.
//
// Thread-bound.
#pragma once

#include <string>

#include "shared/base/file.h"
#include "shared/format/wal.h"

namespace litestream {

struct CommitCount {
    std::uint32_t commits = 0;  // frames with a commit size
    std::uint32_t repeats = 0;  // of these, such that look like the commit frame right before
};

class WalReader {
  public:
    // (Re)opens the file. kNotFound where there is none.
    Status open(const std::string& path);
    bool is_open() const { return file_.is_open(); }

    Result<std::uint64_t> size_bytes() const;
    Result<WalHeader> header() const;
    // Frame `frame_no` counts from 1. kCorrupt: the file ends before it.
    Result<FrameHeader> frame_header(std::uint32_t frame_no, std::uint32_t page_size) const;
    // `frames`: room for whole frames (24 + page size bytes each), from `frame_no` on.
    Status read_frames(std::uint32_t frame_no, std::uint32_t page_size, ByteSpan frames) const;
    Status read_page(std::uint32_t frame_no, std::uint32_t page_size, ByteSpan page) const;
    // Commit frames among the first `frame_count` frames.
    Result<CommitCount> count_commits(std::uint32_t frame_count, std::uint32_t page_size) const;

  private:
    File file_;
};

}  // namespace litestream
