// Continuity of a replica: whether what is there restores up to its end, and whether the next local segment
// goes on from there. Where it does not, the replica needs a new snapshot: what lies in the gap is lost to
// it.
//
// Reentrant; a client is used by one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "shared/replica/replica_client.h"
#include "shared/store/segment_store.h"

namespace litestream {

// What a replica holds of one generation.
struct Held {
    Position end;  // of the last commit there
    // From its newest snapshot on everything up to `end` is there. Of the links from one index to the next,
    // the last one is read: a replicator goes on behind a broken one only with a snapshot.
    bool is_restorable = false;
    std::optional<SnapshotInfo> snapshot;  // the newest one; created_ms is when it was taken
    // Where a new snapshot can go: the last index there lacks its beginning.
    std::uint64_t first_free_index = 0;
    std::optional<Trailer> last;  // of the segment that ends at `end`
};

Result<Held> held_of(ReplicaClient& client, const std::string& generation);

// Why what the replica has is another history than the local one of the same generation: the machine was set
// back to an earlier state, or a copy of it writes there too. "": it is ours, as far as it can be compared.
std::string find_fork(const SegmentStore& store, const Held& held);

// Why `first`, the first local segment behind `at`, does not go on there; "": it does.
Result<std::string> find_gap(const SegmentStore& store, const Position& at, const SegmentRef& first);

}  // namespace litestream
