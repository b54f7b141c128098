// Snapshots that are made for sessions: how many at once, and what becomes of those that nobody wants.
#include "shared/stream/snapshot_queue.h"

#include "tests/stream/stream_fixture.h"

using namespace litestream;

namespace {

struct Fixture : StreamFixture {
    Scheduler many{kMaxSnapshotsAtOnce + 8};
    std::shared_ptr<SnapshotQueue> queue = std::make_shared<SnapshotQueue>(io, many);
    Signal signal;
    std::vector<Result<SnapshotSpool>> made;

    std::uint64_t add() {
        std::uint64_t id = 0;
        io.run([&] {
            id = queue->add(database, [this](Result<SnapshotSpool> spool) {
                const auto lock = signal.lock();
                made.push_back(std::move(spool));
                signal.notify();
            });
        });
        return id;
    }
    void wait_for(std::size_t count) {
        auto lock = signal.lock();
        signal.wait(lock, [&] { return made.size() >= count; });
    }
    void cancel(std::uint64_t id) {
        io.run([&] { queue->cancel(id); });
    }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "so many snapshots are made at once, and the others after them") {
    begin(1);
    database->images().close_gate();
    for (int i = 0; i < kMaxSnapshotsAtOnce + 4; i++) add();

    database->images().wait_for_readers(kMaxSnapshotsAtOnce);
    database->images().open_gate();
    wait_for(kMaxSnapshotsAtOnce + 4);

    CHECK(database->images().most_pins() == kMaxSnapshotsAtOnce);
    for (const auto& spool : made) CHECK(spool.has_value());
}

TEST_CASE_FIXTURE(Fixture, "a snapshot that was cancelled is not handed over, whether it was begun or not") {
    begin(1);
    database->images().close_gate();
    std::vector<std::uint64_t> ids;
    for (int i = 0; i < kMaxSnapshotsAtOnce + 2; i++) ids.push_back(add());
    database->images().wait_for_readers(kMaxSnapshotsAtOnce);

    cancel(ids.front());
    cancel(ids.back());
    database->images().open_gate();
    wait_for(kMaxSnapshotsAtOnce);

    io.run([] {});
    CHECK(made.size() == kMaxSnapshotsAtOnce);
}

TEST_CASE_FIXTURE(Fixture, "a failure is handed over") {
    begin(1);
    REQUIRE(remove_file(store().header_file_of({kFirst, 0, 0, 0, 0, 0})));

    add();
    wait_for(1);

    CHECK(made[0].error().code == ErrorCode::kNotFound);
}

TEST_CASE_FIXTURE(Fixture, "what is taken out of the queue is over once it is destroyed") {
    begin(1);
    database->images().set_busy(1'000'000);
    add();
    add();

    std::vector<std::shared_ptr<SnapshotQueue::Request>> taken;
    io.run([&] { taken = queue->take(database->path()); });
    CHECK(taken.size() == 2);
    taken.clear();

    CHECK(database.use_count() == 1);
    CHECK(database->images().pins() == 0);
}
