// Validation: proves that a replica restores, by restoring it: into a temporary file that is removed again,
// with every check of a restore. Whoever has the live database compares the two at one position:
//
//   pin an image, wait until the replica has its position, validate() at that position, and in `inspect`
//   call compare_with_image().
//
// Reentrant; works on the caller's thread; a client is used by one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "shared/replica/restorer.h"
#include "shared/store/database_image.h"

namespace litestream {

struct ValidateOptions {
    std::string directory;   // for the temporary file; on a disk with room for the database
    RestoreOptions restore;  // what to restore; none given: the latest state
    // Called with the restored file, before it is removed; an error makes the replica invalid.
    std::function<Status(const std::string& path, const Position& position)> inspect;
};

struct ValidationReport {
    bool ok = false;
    std::string error;       // "" if ok; names the file that is wrong
    std::string note;        // what the replica's format could not prove
    std::string generation;  // this and `position` of what was restored; empty after an error
    Position position;
    // What was read and verified, also up to an error:
    std::uint64_t snapshots = 0;
    std::uint64_t segments = 0;
    std::uint64_t bytes = 0;  // as stored
    std::uint64_t pages = 0;  // of the restored database
};

// An interrupt (kInterrupt of the progress function) and a directory that cannot be written are errors; all
// else that goes wrong is the report's.
Result<ValidationReport> validate(ReplicaClient& client, const ValidateOptions& options);

struct PageDifference {
    std::uint32_t page_no = 0;
    std::string what;  // "page 7 differs", "the restored database has 8 pages, the live one 9"
};

// The first page in which a restored file differs from an image of the same position; nullopt: none.
Result<std::optional<PageDifference>> compare_with_image(const std::string& path, DatabaseImage& image);

}  // namespace litestream
