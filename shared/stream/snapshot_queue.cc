#include "shared/stream/snapshot_queue.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

#include "shared/base/clock.h"

namespace litestream {
namespace {

constexpr std::int64_t kFirstPauseMs = 20;
constexpr std::int64_t kLongestPauseMs = 1'000;

}  // namespace

struct SnapshotQueue::Request {
    Request(std::uint64_t number, std::shared_ptr<ServedDatabase> of, Done when_done)
        : id(number), database(std::move(of)), done(std::move(when_done)) {}

    const std::uint64_t id;
    const std::shared_ptr<ServedDatabase> database;
    Done done;  // I/O thread
    std::atomic<bool> is_cancelled = false;

    // The worker's until it posts the end:
    std::int64_t give_up_ms = 0;
    std::int64_t pause_ms = kFirstPauseMs;
    std::optional<Result<SnapshotSpool>> result;

    std::unique_ptr<Scheduler::Job> job;  // the last member: nothing above goes while its body runs
};

SnapshotQueue::~SnapshotQueue() {
    for (const auto& request : requests_) request->is_cancelled = true;
}

std::uint64_t SnapshotQueue::add(std::shared_ptr<ServedDatabase> database, Done done) {
    const std::uint64_t id = next_id_++;
    requests_.push_back(std::make_shared<Request>(id, std::move(database), std::move(done)));
    start_waiting();
    return id;
}

void SnapshotQueue::start_waiting() {
    auto running = std::count_if(requests_.begin(), requests_.end(),
                                 [](const auto& request) { return request->job != nullptr; });
    for (const auto& request : requests_) {
        if (running >= kMaxSnapshotsAtOnce) return;
        if (request->job != nullptr) continue;
        start(*request);
        ++running;
    }
}

void SnapshotQueue::start(Request& request) {
    request.give_up_ms = steady_clock_ms() + kSnapshotPatienceMs;
    // Destroying the request waits for the body, destroying the queue destroys the requests.
    request.job = scheduler_.add_job([this, &request] { run(request); });
    request.job->wake();
}

void SnapshotQueue::run(Request& request) {
    if (request.result) return;
    auto spool = make_spool(request.database->store(), request.database->images(), request.is_cancelled);
    const bool is_busy = !spool && spool.error().code == ErrorCode::kBusy;
    const std::int64_t next_ms = steady_clock_ms() + request.pause_ms;
    if (is_busy && !request.is_cancelled && next_ms < request.give_up_ms) {
        request.pause_ms = std::min(2 * request.pause_ms, kLongestPauseMs);
        request.job->wake_at(next_ms);
        return;
    }
    request.result = std::move(spool);
    io_.post([queue = weak_from_this(), id = request.id] {
        if (const auto alive = queue.lock()) alive->finish(id);
    });
}

void SnapshotQueue::finish(std::uint64_t id) {
    const auto found = std::find_if(requests_.begin(), requests_.end(),
                                    [id](const auto& request) { return request->id == id; });
    if (found == requests_.end()) return;
    const auto request = *found;
    requests_.erase(found);
    request->job.reset();
    start_waiting();
    if (request->done && !request->is_cancelled) request->done(*std::move(request->result));
}

void SnapshotQueue::cancel(std::uint64_t id) {
    const auto found = std::find_if(requests_.begin(), requests_.end(),
                                    [id](const auto& request) { return request->id == id; });
    if (found == requests_.end()) return;
    Request& request = **found;
    request.is_cancelled = true;
    request.done = nullptr;
    if (request.job == nullptr) {
        requests_.erase(found);
    } else {
        request.job->wake();  // it may be in a pause
    }
}

std::vector<std::shared_ptr<SnapshotQueue::Request>> SnapshotQueue::take(const std::string& database_path) {
    std::vector<std::shared_ptr<Request>> taken;
    const auto rest = std::stable_partition(requests_.begin(), requests_.end(), [&](const auto& request) {
        return !database_path.empty() && request->database->path() != database_path;
    });
    taken.assign(rest, requests_.end());
    requests_.erase(rest, requests_.end());
    for (const auto& request : taken) {
        request->is_cancelled = true;
        request->done = nullptr;
    }
    start_waiting();
    return taken;
}

}  // namespace litestream
