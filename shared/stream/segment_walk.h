// SegmentWalk: from a position on through a store, one stored file after the other, each new index beginning
// with its header segment. It never steps over what is missing: each step is checked against the list and
// the trailers.
//
// Thread-bound. Reads names and trailers; the content is the caller's to read.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "shared/base/file.h"
#include "shared/store/segment_store.h"

namespace litestream {

class SegmentWalk {
  public:
    struct Item {
        Position start;
        Position end;
        File file;
        std::uint64_t size_bytes = 0;
        std::int64_t time_ms = 0;  // of its last commit; 0 for a header segment
    };

    SegmentWalk(SegmentStore& store, Position position) : store_(store), position_(std::move(position)) {}

    // nullopt: nothing is behind the position for now. Errors say what is trimmed or damaged; the position
    // stays then.
    Result<std::optional<Item>> next();
    const Position& position() const { return position_; }  // the end of what next() gave last

  private:
    Result<Item> open_segment(const SegmentRef& segment) const;
    Result<Item> open_header(const SegmentRef& segment) const;
    Status check_continues(const SegmentRef& segment, std::uint64_t previous_end) const;

    SegmentStore& store_;
    Position position_;
    std::deque<SegmentRef> ahead_;
};

// Can whoever is at `position` be given what follows it?
bool can_resume(SegmentStore& store, const Position& position);

}  // namespace litestream
