// Retention: which files of a replica go, so that it does not grow without end.
//
// Kept are the snapshots made at or after a moment, and always the newest one of the current generation. A
// generation without a kept snapshot goes as a whole (never the current one); in the others, what lies in an
// index below the lowest kept snapshot goes. Hence every position from the oldest kept snapshot on still
// restores. Only files that the listing knows by name are touched.
//
// Snapshots go before the segments that they need, oldest first, and the segments stay if a snapshot could
// not be removed: at any moment in between, also after a crash, what is still there restores.
//
// Plan: pure, reentrant. The other two: thread-bound like their client.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "shared/replica/generation.h"

namespace litestream {

struct Removal {
    std::string generation;
    std::vector<std::string> snapshots;  // names, in order
    std::vector<std::string> segments;
};

struct RetentionPlan {
    // No snapshot of the current generation is young enough: a new one would let the old ones go.
    bool wants_snapshot = false;
    std::vector<Removal> removals;  // of every generation, also of one where nothing goes
};

// `keep_from_ms`: wall clock.
RetentionPlan plan_retention(const std::vector<Generation>& generations, const std::string& current,
                             std::int64_t keep_from_ms);

// Every generation, also one without files, with the trailers of its snapshots.
Result<std::vector<Generation>> load_snapshots(ReplicaClient& client);

// Goes on behind a file that cannot be removed. The error names the first one and says that there were more.
// kInterrupt: `stopping` was set.
Status carry_out(ReplicaClient& client, const RetentionPlan& plan, const std::atomic<bool>& stopping);

}  // namespace litestream
