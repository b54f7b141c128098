// Restore: a replica's files become a database file. Needs no SQLite; pages go straight into the output.
//
// Everything is verified on the way: lz4 and frame checksums, salts, offsets, index steps and trailers. The
// output appears under its name only when it is whole and verified (rename that never replaces); after an
// error neither it nor its temporary file is left. Reentrant; works on the caller's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "shared/replica/replica_client.h"

namespace litestream {

struct RestoreOptions {
    // At most one of timestamp, index and position; none: the latest state.
    std::optional<std::int64_t> timestamp_ms;  // the last commit at or before it
    std::optional<std::uint64_t> index;        // its end; needs `generation` if there are several
    std::optional<Position> position;          // exactly this commit
    std::string generation;                    // empty: chosen
    // Called at least every 64 MiB with bytes written so far; an error stops the restore.
    std::function<Status(std::uint64_t bytes)> on_progress;
    // Called with the temporary file once all pages are in, before it is published: the host's quick_check.
    // `needed`: the replica's format cannot prove that nothing is missing.
    std::function<Status(const std::string& path, bool needed)> check;
};

struct RestoreResult {
    Position position;
    std::string note;  // what the replica's format could not prove; empty for our own replicas
};

// `path` must not exist (kExists). Mode 0600. kNotFound: the replica has nothing to restore.
Result<RestoreResult> restore(ReplicaClient& client, const std::string& path, const RestoreOptions& options);

}  // namespace litestream
