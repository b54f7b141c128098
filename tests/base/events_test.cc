#include "shared/base/events.h"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

namespace litestream {
namespace {

TEST_CASE("an event comes back with its time, the newest last") {
    record_event("/data/app.db", "generation", "first");
    record_event("/data/app.db", "replica_error", "second");

    const auto events = recorded_events();

    REQUIRE(events.size() >= 2);
    CHECK(events.back().database == "/data/app.db");
    CHECK(events.back().kind == "replica_error");
    CHECK(events.back().detail == "second");
    CHECK(events.back().time_ms >= events[events.size() - 2].time_ms);
}

TEST_CASE("only the last thousand are kept, whoever records them") {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([] {
            for (std::size_t n = 0; n < kMaxEvents; ++n) record_event("/x", "generation", std::to_string(n));
        });
    }
    for (std::thread& thread : threads) thread.join();

    const auto events = recorded_events();

    CHECK(events.size() == kMaxEvents);
    CHECK(events.back().detail == std::to_string(kMaxEvents - 1));
}

}  // namespace
}  // namespace litestream
