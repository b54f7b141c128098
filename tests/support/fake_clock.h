// FakeClock: a clock that moves by hand only. Thread-safe.
#pragma once

#include <atomic>

#include "shared/replica/schedule.h"

namespace litestream {

class FakeClock {
  public:
    explicit FakeClock(std::int64_t wall_ms = 1'800'000'000'000) : wall_ms_(wall_ms) {}
    void advance(std::int64_t milliseconds) {
        wall_ms_ += milliseconds;
        steady_ms_ += milliseconds;
    }
    std::int64_t wall_ms() const { return wall_ms_; }
    Clock clock() {
        return {[this] { return wall_ms_.load(); }, [this] { return steady_ms_.load(); }};
    }

  private:
    std::atomic<std::int64_t> wall_ms_;
    std::atomic<std::int64_t> steady_ms_ = 1'000'000'000;
};

}  // namespace litestream
