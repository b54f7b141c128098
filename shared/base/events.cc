#include "shared/base/events.h"

#include <deque>
#include <mutex>

#include "shared/base/clock.h"

namespace litestream {
namespace {

struct Ring {
    std::mutex mutex;
    std::deque<Event> events;  // guarded by mutex
};

// Never destroyed: threads of ours may record while the process exits.
Ring& ring() {
    static Ring& only = *new Ring;
    return only;
}

}  // namespace

void record_event(std::string database, std::string_view kind, std::string detail) {
    const std::lock_guard lock(ring().mutex);
    auto& events = ring().events;
    events.push_back({wall_clock_ms(), std::move(database), std::string(kind), std::move(detail)});
    if (events.size() > kMaxEvents) events.pop_front();
}

std::vector<Event> recorded_events() {
    const std::lock_guard lock(ring().mutex);
    return {ring().events.begin(), ring().events.end()};
}

}  // namespace litestream
