// CaptureThread: the one thread of the process that captures. It looks at a database whenever its bell rang,
// lingers for a while in short naps (a bell then costs a store to memory), and sleeps without a time limit
// when nothing comes. It starts with the first database and ends with the last.
//
// Thread-safe. Lock order: Registry's mutex, then list_mutex_, then sleep_mutex_; none is held during a look.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace litestream {

class Database;

class CaptureThread {
  public:
    CaptureThread() = default;
    ~CaptureThread();
    CaptureThread(const CaptureThread&) = delete;
    CaptureThread& operator=(const CaptureThread&) = delete;

    void add(const std::shared_ptr<Database>& database);
    void remove(const Database& database);  // returns once it is not being looked at
    // A database's bell rang (Database::ring). Cheap while the thread is awake.
    void wake() {
        if (asleep_.load()) wake_sleeper();
    }
    // After fork() the thread exists only in the parent: the child forgets it.
    void forget_after_fork();

  private:
    void run();
    bool look_at_rung(std::int64_t& retry_ms);
    void sleep_until_rung(std::int64_t retry_ms);
    bool any_rung();
    void wake_sleeper();

    std::mutex list_mutex_;
    std::condition_variable looked_;
    std::vector<std::shared_ptr<Database>> databases_;  // guarded by list_mutex_
    const Database* current_ = nullptr;                 // guarded by list_mutex_: being looked at
    bool stopping_ = false;                             // guarded by list_mutex_
    std::thread thread_;                                // touched under Registry's mutex only

    std::mutex sleep_mutex_;
    std::condition_variable rung_;
    std::atomic<bool> asleep_ = false;  // set under sleep_mutex_ before the last check of the bells
};

}  // namespace litestream
