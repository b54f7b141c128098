// StagedBytes: bytes that wait until the whole of them is verified: in memory up to a limit, then in a file
// of the given folder that has no name any more. Thread-bound.
#pragma once

#include <string>

#include "shared/base/file.h"
#include "shared/base/stream.h"

namespace litestream {

class StagedBytes {
  public:
    StagedBytes(std::string folder, std::size_t memory_limit)
        : folder_(std::move(folder)), memory_limit_(memory_limit) {}

    Status append(ByteView bytes);
    Sink sink() {
        return [this](ByteView bytes) { return append(bytes); };
    }
    std::uint64_t size_bytes() const { return size_bytes_; }
    bool in_memory() const { return !file_.is_open(); }
    // All of them, in pieces.
    Status read(const Sink& sink) const;
    // In a file, whatever their size.
    Status to_file();
    const File& file() const { return file_; }

  private:
    const std::string folder_;
    const std::size_t memory_limit_;
    Bytes memory_;
    File file_;
    std::uint64_t size_bytes_ = 0;
};

}  // namespace litestream
