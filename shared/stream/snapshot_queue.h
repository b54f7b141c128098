// SnapshotQueue: makes the snapshots of all sessions, on workers, at most kMaxSnapshotsAtOnce at the same
// time; the others wait in order. A database that changes too fast to be pinned is tried again for a while.
//
// Thread-bound to the I/O thread, but for the destructor. A request keeps its database alive until its worker
// has let go, which may be a moment after cancel(); take() hands over what is left, to be destroyed where
// waiting is allowed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shared/base/scheduler.h"
#include "shared/net/io_thread.h"
#include "shared/stream/snapshot_spool.h"
#include "shared/stream/stream_server.h"

namespace litestream {

constexpr int kMaxSnapshotsAtOnce = 16;
constexpr std::int64_t kSnapshotPatienceMs = 30'000;

class SnapshotQueue : public std::enable_shared_from_this<SnapshotQueue> {
  public:
    using Done = std::function<void(Result<SnapshotSpool>)>;
    struct Request;  // its destructor waits for the worker

    SnapshotQueue(IoThread& io, Scheduler& scheduler) : io_(io), scheduler_(scheduler) {}
    ~SnapshotQueue();
    SnapshotQueue(const SnapshotQueue&) = delete;
    SnapshotQueue& operator=(const SnapshotQueue&) = delete;

    // `done` is called on the I/O thread, not from within this call, and never after cancel() or take().
    std::uint64_t add(std::shared_ptr<ServedDatabase> database, Done done);
    void cancel(std::uint64_t id);
    // Those of one database; "": all.
    std::vector<std::shared_ptr<Request>> take(const std::string& database_path);

  private:
    void start_waiting();
    void start(Request& request);
    void run(Request& request);  // on a worker
    void finish(std::uint64_t id);

    IoThread& io_;
    Scheduler& scheduler_;
    std::vector<std::shared_ptr<Request>> requests_;  // in order of arrival
    std::uint64_t next_id_ = 1;
};

}  // namespace litestream
