// WalMarks: what the processes on one database tell each other of its WAL, and the next process after a
// kill -9: two small files in the meta directory, overwritten in place. Each says a thing that stays true:
// with these frames of this life of the WAL the database is at this position.
//
//   captured    by the process that captures, whenever it has captured; others then know what the WAL may
//   lose restarted   by whoever begins the WAL anew: 0 frames, since all of the life before was captured. It
//   is
//               there before the first commit of the new life, so that a process that dies before it has
//               captured that commit leaves the proof that none is missing in between
//
//   0 generation u64, 8 index, 16 offset, 24 salts (8), 32 frames u32, 36 checksum of the last frame (8),
//  44 CRC-32 of bytes 0 to 43. All big-endian.
//
// Not synced: after power loss a mark is missing or as true as before. Values: reentrant; WalMarkFile:
// thread-bound.
#pragma once

#include <optional>
#include <string>

#include "shared/base/file.h"
#include "shared/format/position.h"
#include "vfs/wal_index.h"

namespace litestream {

enum class WalMarkKind { kCaptured, kRestarted };

struct WalMark {
    Position position;
    Salts salts = {};
    std::uint32_t frames = 0;
    WalChecksum checksum;

    bool operator==(const WalMark&) const = default;
    // Everything that the header calls committed is in the position.
    bool is_of(const WalIndexHeader& header) const {
        return frames == header.frame_count && salts == header.salts &&
               (frames == 0 || checksum == header.frame_checksum);
    }
};

class WalMarkFile {
  public:
    // Creates it if need be.
    static Result<WalMarkFile> open(const std::string& meta_path, WalMarkKind kind, unsigned mode);
    Status write(const WalMark& mark);

  private:
    File file_;
};

// nullopt: there is none.
std::optional<WalMark> read_wal_mark(const std::string& meta_path, WalMarkKind kind);

}  // namespace litestream
