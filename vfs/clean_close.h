// Proof, across processes, that a database file is still the one whose every commit was captured when its WAL
// became empty. Two files in the meta directory, each of one line:
//
//   clean-close   the last connection left and deleted the WAL; a live replica's applier copied all of it
//   at-rest       a checkpoint was about to cut the WAL off; for the next process if this one is killed
//                 before a checkpoint writes to the database file again. After power loss it proves nothing:
//                 commits behind it may be gone
//
//   2 GENERATION/INDEX:OFFSET BOOT DEV INODE SIZE MTIME_NS CTIME_NS FIRST-100-BYTES-IN-HEX CRC32
//
// SQLite's change counter proves nothing in WAL mode; what the kernel says of the file does, once its change
// time lies in the past: a later write then has a later one. Reentrant. The main file is looked at with
// stat(2) and through SQLite's own handle, never opened.
#pragma once

#include <optional>
#include <string>

#include "shared/base/bytes.h"
#include "shared/base/result.h"
#include "shared/format/position.h"

namespace litestream {

constexpr std::size_t kCleanCloseHeaderBytes = 100;

enum class RestKind { kClosed, kAtRest };
// Where a power loss in between would make it prove less.
enum class OfBoot { kAny, kThis };

struct Rest {
    Position position;
    Bytes first_bytes;  // of the database file
};

// The caller's locks keep everybody from writing to the database file: EXCLUSIVE, or WRITE and CKPT. Waits up
// to 50 ms (at rest 20 ms: writers wait too), one tick of the kernel's clock as a rule, until the file's
// change time is in the past; kBusy if it never is (a clock that was set back).
Status write_rest(const std::string& meta_path, RestKind kind, const std::string& database_path,
                  const Rest& rest, unsigned mode);

// The position in the record if it fits the file as it is now; nullopt: no record, or it proves nothing.
std::optional<Position> check_rest(const std::string& meta_path, RestKind kind,
                                   const std::string& database_path, ByteView first_bytes,
                                   OfBoot of_boot = OfBoot::kAny);

}  // namespace litestream
