// CaptureThread: the one thread of the process that captures. It looks at a database whenever its bell rang
// or another process wrote to its WAL, lingers for a while in short naps (a bell then costs a store to
// memory), and sleeps without a time limit when nothing comes. It starts with the first database and ends
// with the last.
//
// Thread-safe. Lock order: Registry's mutex, then list_mutex_, which is not held during a look.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "vfs/file_watch.h"

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
    // Events of the file are the database's, for as long as it is in the list. False: it cannot be watched.
    bool watch(Database& database, const std::string& path, FileWatch::Event event);
    // After fork() the thread exists only in the parent: the child forgets it.
    void forget_after_fork();

  private:
    void run();
    void take_events();
    bool look_at_rung(std::int64_t& retry_ms);
    void sleep_until_rung(std::int64_t retry_ms);
    bool any_rung();
    void wake_sleeper();

    std::unique_ptr<FileWatch> files_;  // since the thread first started: a forked child must not share it
    std::mutex list_mutex_;
    std::condition_variable looked_;
    std::vector<std::shared_ptr<Database>> databases_;  // guarded by list_mutex_
    std::map<int, Database*> watched_;                  // guarded by list_mutex_
    const Database* current_ = nullptr;                 // guarded by list_mutex_: being looked at
    bool stopping_ = false;                             // guarded by list_mutex_
    std::thread thread_;                                // touched under Registry's mutex only

    std::atomic<bool> asleep_ = false;  // set before the last check of the bells
};

}  // namespace litestream
