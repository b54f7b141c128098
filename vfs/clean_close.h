// The clean-close record: proof, across processes, that a database file is still the one whose every commit
// was captured when its WAL was deleted. File `clean-close` in the meta directory, one line:
//
//   1 GENERATION/INDEX:OFFSET DEV INODE SIZE MTIME_NS CTIME_NS FIRST-100-BYTES-IN-HEX CRC32
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

// Called while nobody else can write the database (EXCLUSIVE lock). Waits up to 50 ms, one tick of the
// kernel's clock as a rule, until the change time is in the past; kBusy if it never is (a clock that was set
// back).
Status write_clean_close(const std::string& meta_path, const std::string& database_path, ByteView first_bytes,
                         const Position& position, unsigned mode);

// The position in the record if it fits the file as it is now; nullopt: no record, or it proves nothing.
std::optional<Position> check_clean_close(const std::string& meta_path, const std::string& database_path,
                                          ByteView first_bytes);

}  // namespace litestream
