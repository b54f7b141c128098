#include "ext/interrupt.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <limits>
#include <mutex>
#include <system_error>
#include <thread>

#include "shared/base/clock.h"
#include "shared/base/threads.h"

namespace litestream {
namespace {

// Those who wait ask every 250 ms; a little less here, so that no question of theirs falls through.
constexpr std::int64_t kWaitMs = 250;
constexpr std::int64_t kAskEveryMs = 200;

bool is_statement_interrupted(sqlite3* connection) {
    sqlite3_stmt* statement = nullptr;
    int code = sqlite3_prepare_v2(connection, "SELECT 1", -1, &statement, nullptr);
    if (code == SQLITE_OK) code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return code == SQLITE_INTERRUPT;
}

// Work on a thread of its own, once begun until it is over.
class Worker {
  public:
    using Work = std::function<Status(const Stop& stop)>;

    explicit Worker(const Work& work) : work_(work) {}

    // std::system_error: there is no thread.
    void start() {
        const BlockedSignals blocked;
        thread_ = std::thread([this] { run(); });
    }
    // Until it is over; false: after `timeout_ms` it is not.
    bool wait(std::int64_t timeout_ms) {
        std::unique_lock lock(mutex_);
        return over_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] { return is_over_; });
    }
    void stop() { is_stopped_.store(true); }
    Status join() {
        thread_.join();
        if (thrown_) std::rethrow_exception(thrown_);
        return std::move(status_);
    }

  private:
    void run() {
        try {
            status_ = work_([this] { return is_stopped_.load(); });
        } catch (...) {
            thrown_ = std::current_exception();
        }
        const std::lock_guard lock(mutex_);
        is_over_ = true;
        over_.notify_all();
    }

    const Work& work_;
    std::atomic<bool> is_stopped_ = false;
    Status status_;              // this and the next: the thread's, behind join() the caller's
    std::exception_ptr thrown_;
    std::mutex mutex_;
    std::condition_variable over_;
    bool is_over_ = false;  // guarded by mutex_
    std::thread thread_;
};

bool ask(sqlite3* connection) {
#if SQLITE_VERSION_NUMBER >= 3041000
    if (sqlite3_libversion_number() >= 3041000) return sqlite3_is_interrupted(connection) != 0;
#endif
    return is_statement_interrupted(connection);
}

}  // namespace

Waiting::Waiting(sqlite3* connection, std::int64_t timeout_ms)
    : connection_(connection), deadline_ms_(steady_clock_ms() + timeout_ms) {}

int Waiting::left_ms() const {
    constexpr std::int64_t kMost = std::numeric_limits<int>::max();
    return static_cast<int>(std::clamp<std::int64_t>(deadline_ms_ - steady_clock_ms(), 0, kMost));
}

bool Waiting::is_interrupted() {
    const std::int64_t now_ms = steady_clock_ms();
    if (!interrupted_ && now_ms >= next_ask_ms_) {
        interrupted_ = ask(connection_);
        next_ask_ms_ = now_ms + kAskEveryMs;
    }
    return interrupted_;
}

Error Waiting::failure(const std::string& late) {
    if (is_interrupted()) return {ErrorCode::kInterrupt, "interrupted"};
    return {ErrorCode::kBusy, late};
}

Status run_interruptibly(sqlite3* connection, const std::function<void()>& cancel,
                         const std::function<Status(const Stop& stop)>& work) {
    Waiting waiting(connection, std::numeric_limits<int>::max());
    Worker worker(work);
    try {
        worker.start();
    } catch (const std::system_error&) {
        return work(waiting.stop());  // it asks itself, between two requests
    }
    bool is_interrupted = false;
    while (!worker.wait(kWaitMs)) {
        if (is_interrupted || !waiting.is_interrupted()) continue;
        is_interrupted = true;
        worker.stop();
        cancel();
    }
    Status status = worker.join();
    if (!status && is_interrupted) status.error().code = ErrorCode::kInterrupt;
    return status;
}

}  // namespace litestream
