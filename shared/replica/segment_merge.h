// Merging: consecutive local segments of one index become one published segment. Reentrant.
#pragma once

#include <atomic>
#include <vector>

#include "shared/base/stream.h"
#include "shared/store/segment_store.h"

namespace litestream {

// Writes one segment file to `sink` that starts at `start` (0: with the WAL header; else a commit end at or
// behind the start of the first segment) and ends with the last of `segments`. kCorrupt: they do not follow
// each other, or one does not verify. kInterrupt: `stopping` was set.
Status merge_segments(const SegmentStore& store, const std::vector<SegmentRef>& segments, std::uint64_t start,
                      const Sink& sink, const std::atomic<bool>& stopping);

}  // namespace litestream
