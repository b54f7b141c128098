#include "shared/replica/schedule.h"

#include <doctest/doctest.h>

#include "tests/replica/primary.h"
#include "tests/support/fake_clock.h"

namespace litestream {
namespace {

constexpr const char* kGeneration = "00000000000000a1";

std::uint32_t draw_highest() { return 0xFFFFFFFF; }
std::uint32_t draw_lowest() { return 0; }

}  // namespace

TEST_CASE("a back-off doubles up to its limit and begins again after a success") {
    BackOff back_off(500, 60'000, draw_lowest);

    std::vector<std::int64_t> waits;
    for (int i = 0; i < 10; ++i) waits.push_back(back_off.failed());
    back_off.succeeded();

    CHECK(waits ==
          std::vector<std::int64_t>{250, 500, 1000, 2000, 4000, 8000, 16'000, 30'000, 30'000, 30'000});
    CHECK(back_off.failed() == 250);
}

TEST_CASE("the second half of a back-off is drawn") {
    BackOff back_off(500, 60'000);
    BackOff highest(500, 60'000, draw_highest);

    for (std::int64_t full = 500; full <= 64'000; full *= 2) {
        const std::int64_t limit = std::min<std::int64_t>(full, 60'000);
        const std::int64_t wait = back_off.failed();
        CHECK(wait >= limit / 2);
        CHECK(wait <= limit);
        CHECK(highest.failed() <= limit);
    }
}

TEST_CASE("back-offs that fail together do not come back together") {
    std::map<std::int64_t, int> waits;
    for (int i = 0; i < 100; ++i) ++waits[BackOff(60'000, 60'000).failed()];

    CHECK(waits.size() > 50);
}

TEST_CASE("a snapshot is due an interval after the last one, once a later index is there") {
    const LastSnapshot last{3, 1000};

    CHECK_FALSE(snapshot_due_ms(last, {kGeneration, 3, 4096}, 500));
    CHECK(snapshot_due_ms(last, {kGeneration, 4, 4096}, 500) == 1500);
    CHECK_FALSE(snapshot_due_ms(last, {kGeneration, 4, 4096}, 0));
}

TEST_CASE("a snapshot's age is its wall time, and one from the future has none") {
    FakeClock clock;
    const std::int64_t now_ms = clock.clock().steady_ms();

    CHECK(taken_steady_ms(clock.wall_ms() - 700, clock.clock()) == now_ms - 700);
    CHECK(taken_steady_ms(clock.wall_ms() + 700, clock.clock()) == now_ms);
}

}  // namespace litestream
