#include "shared/replica/schedule.h"

#include <algorithm>

#include "shared/base/random.h"
#include "shared/base/text.h"

namespace litestream {
namespace {

std::uint32_t random_draw() {
    const auto random = parse_hex(random_hex(4), "random number");
    return static_cast<std::uint32_t>(random ? *random : 0);
}

}  // namespace

std::int64_t BackOff::failed() {
    next_ms_ = next_ms_ == 0 ? min_ms_ : std::min(next_ms_ * 2, max_ms_);
    const std::int64_t half_ms = next_ms_ / 2;
    const std::uint32_t drawn = draw_ ? draw_() : random_draw();
    return half_ms + drawn % (half_ms + 1);
}

std::optional<std::int64_t> snapshot_due_ms(const LastSnapshot& last, const Position& position,
                                            std::int64_t interval_ms) {
    if (interval_ms <= 0 || position.index <= last.index) return std::nullopt;
    return last.taken_ms + interval_ms;
}

std::int64_t taken_steady_ms(std::int64_t created_ms, const Clock& clock) {
    return clock.steady_ms() - std::max<std::int64_t>(clock.wall_ms() - created_ms, 0);
}

}  // namespace litestream
