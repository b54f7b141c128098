// Restore: a replica's files become a database file. Needs no SQLite; pages go straight into the output.
//
// Everything is verified on the way: lz4 and frame checksums, salts, offsets, index steps and trailers. The
// output appears under its name only when it is whole and verified (rename that never replaces); after an
// error neither it nor its temporary file is left.
//
// Files of an object store are fetched by several clients of it, each on a thread of its own, ahead of where
// they are needed and within a window (fetch_ahead.h): at most 5 MiB each in all, whatever their sizes.
// Everything else, the callbacks too, is on the caller's thread. Reentrant. The client's cancel() ends it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "shared/replica/replica_client.h"

namespace litestream {

// What was read and verified; also, up to an error, what was begun.
struct RestoreCounts {
    std::uint64_t snapshots = 0;
    std::uint64_t segments = 0;
    std::uint64_t bytes = 0;  // as stored
};

struct RestoreOptions {
    // At most one of timestamp, index and position; none: the latest state.
    std::optional<std::int64_t> timestamp_ms;  // the last commit at or before it
    std::optional<std::uint64_t> index;        // its end; needs `generation` if there are several
    std::optional<Position> position;          // exactly this commit
    std::string generation;                    // empty: chosen
    unsigned parallelism = 0;                  // as in ReplicaClient::duplicates()
    RestoreCounts* counts = nullptr;           // written while it works
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
