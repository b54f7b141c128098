// RestorePlan: which files of a generation a restore reads, in which order, and the commit at which it stops.
// Pure: listing and trailers in, plan or error out. Reentrant.
//
// Our own files prove their place: every trailer agrees with the file's name; segments follow each other
// without a gap, offset by offset, each index begins by naming the end and checksum of the one before, and
// the snapshot's position is the end of a commit in the segments of its index. All that is proven here,
// before a byte is read; that the content agrees with its trailer is proven by Replay.
//
// Files without trailers only have names: indexes are consecutive and each begins at offset 0. Their
// snapshots are of some moment within their index, so that within that index only its end is a state of the
// database.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shared/replica/generation.h"

namespace litestream {

struct RestoreTarget {
    enum class Kind : std::uint8_t { kLatest, kTimestamp, kIndex, kPosition };

    Kind kind = Kind::kLatest;
    std::int64_t timestamp_ms = 0;
    std::uint64_t index = 0;
    Position position;
};

struct RestorePlan {
    // kCommit: at `stop`, which is the end of a commit, or an error. kEnd: at the end of the last segment,
    // which must be `stop` if that is not empty.
    enum class Stop : std::uint8_t { kCommit, kEnd };

    bool is_ours = false;
    SnapshotFile snapshot;
    std::vector<SegmentFile> segments;  // from offset 0 of the snapshot's index on
    Stop stop_at = Stop::kEnd;
    Position stop;
    std::string note;  // what cannot be proven
};

// The place of the snapshot to begin with. Needs the snapshots' trailers only.
Result<std::size_t> choose_snapshot(const Generation& generation, const RestoreTarget& target);

// Needs the trailers of the segments from the snapshot's index to the first index behind the target.
Result<RestorePlan> plan_restore(const Generation& generation, std::size_t snapshot,
                                 const RestoreTarget& target);

}  // namespace litestream
