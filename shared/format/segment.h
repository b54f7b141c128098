// Segment and snapshot files: one lz4 frame, then (ours) a trailer. Thread-bound objects, constant memory.
#pragma once

#include <optional>

#include "shared/format/lz4.h"
#include "shared/format/trailer.h"

namespace litestream {

// Writes the content through lz4 to `sink`, then the trailer, in which it fills in content_crc.
class PayloadWriter {
  public:
    explicit PayloadWriter(Sink sink);
    Status write(ByteView bytes);
    // `trailer` null: none (the local header segment).
    Status finish(Trailer* trailer);
    std::uint64_t size_bytes() const { return size_bytes_; }  // written to the sink so far

  private:
    Sink sink_;
    std::uint64_t size_bytes_ = 0;
    std::uint32_t crc_ = 0;
    Lz4Writer lz4_;
};

// Reads all of `source`: the content goes to `content` piece by piece, and the result is the trailer, if
// there is one. Everything is checked: lz4 (end mark, checksum), the trailer, its content CRC, and that
// nothing else follows. What `content` has received counts only if this returned a value.
Result<std::optional<Trailer>> read_payload(Source& source, const Sink& content);

}  // namespace litestream
