// When a replicator does what is not asked for by a new segment: the next attempt after an error, and the
// next snapshot. Nothing here sleeps or reads a clock: times go in and come out.
//
// A snapshot is due an interval after the last one, but only once commits of a later index are there: an idle
// database has no timer. (A snapshot is named after its index, so there is one of each index at most.)
//
// Clock and functions: reentrant. BackOff: thread-bound.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "shared/base/clock.h"
#include "shared/format/position.h"

namespace litestream {

struct Clock {
    std::function<std::int64_t()> wall_ms = wall_clock_ms;
    std::function<std::int64_t()> steady_ms = steady_clock_ms;
};

// Twice as long after each failure, from `min_ms` to `max_ms`, of which the second half is drawn: several
// replicas that fail together must not come back together.
class BackOff {
  public:
    using Draw = std::function<std::uint32_t()>;

    BackOff(std::int64_t min_ms, std::int64_t max_ms, Draw draw = {})
        : min_ms_(min_ms), max_ms_(max_ms), draw_(std::move(draw)) {}

    std::int64_t failed();  // how long to wait
    void succeeded() { next_ms_ = 0; }

  private:
    const std::int64_t min_ms_;
    const std::int64_t max_ms_;
    const Draw draw_;           // empty: the kernel's random bytes
    std::int64_t next_ms_ = 0;  // before the draw; 0: the last attempt went well
};

struct LastSnapshot {
    std::uint64_t index = 0;
    std::int64_t taken_ms = 0;  // steady clock
};

// Steady clock; nullopt: none is due, whatever time passes. `position`: up to where commits are there.
// `interval_ms` 0: never.
std::optional<std::int64_t> snapshot_due_ms(const LastSnapshot& last, const Position& position,
                                            std::int64_t interval_ms);

// The steady time of a snapshot that bears the wall time `created_ms`; one from the future was taken now.
std::int64_t taken_steady_ms(std::int64_t created_ms, const Clock& clock);

}  // namespace litestream
