// ApplyBatch: frames on their way into a live replica's WAL, several commits that become visible together. A
// page stands in it once: what a later commit of the batch changed again is never written. Thread-bound.
#pragma once

#include <algorithm>
#include <unordered_map>

#include "shared/format/wal.h"

namespace litestream {

constexpr std::size_t kApplyBatchBytes = 8u << 20;

class ApplyBatch {
  public:
    bool is_empty() const { return frames_.empty(); }
    bool is_full() const { return frames_.size() >= kApplyBatchBytes; }
    std::uint32_t page_size() const { return page_size_; }
    ByteSpan frames() { return frames_; }

    void add(std::uint32_t page_no, ByteView page) {
        page_size_ = static_cast<std::uint32_t>(page.size());
        const auto [entry, is_new] = places_.try_emplace(page_no, frames_.size());
        if (is_new) {
            frames_.resize(frames_.size() + kFrameHeaderSize + page.size());
            FrameHeader{page_no, 0, {}, {}}.encode(frames_.data() + entry->second);
        }
        std::copy(page.begin(), page.end(),
                  frames_.begin() + static_cast<std::ptrdiff_t>(entry->second) +
                      static_cast<std::ptrdiff_t>(kFrameHeaderSize));
    }
    bool has(std::uint32_t page_no) const { return places_.contains(page_no); }
    void end_commit(std::uint32_t page_count) {
        store_be32(frames_.data() + frames_.size() - kFrameHeaderSize - page_size_ + 4, page_count);
    }
    void clear() {
        frames_.clear();
        places_.clear();
    }

  private:
    Bytes frames_;
    std::unordered_map<std::uint32_t, std::size_t> places_;  // of a page's frame, by page number
    std::uint32_t page_size_ = 0;
};

}  // namespace litestream
