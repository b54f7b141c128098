// Scheduler: a few threads that run jobs now or at a later time. Sleeps without a time limit while nothing
// is due, so that an idle process makes no system call. One thread at a time watches the clock; the others
// sleep until there is work. Threads start when they are first needed, with every signal blocked.
//
// Thread-safe. A Job object runs on one thread at a time; waking it while it runs makes it run once more.
// Lock order: the scheduler's mutex is innermost and never held while a job runs.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "shared/base/clock.h"

namespace litestream {

class Scheduler {
  public:
    class Job;

    // At most `threads` of them, 1 or more.
    explicit Scheduler(int threads) : thread_limit_(threads) {}
    // With a clock that does not run by itself: whoever moves it calls clock_moved() afterwards.
    Scheduler(int threads, std::function<std::int64_t()> clock)
        : thread_limit_(threads), clock_(std::move(clock)) {}
    ~Scheduler();  // every job must be gone
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;

    // A job that runs `body` whenever it is woken. Its destructor waits for a running body to return
    // (and hence must not be called from it).
    std::unique_ptr<Job> add_job(std::function<void()> body);

    // What wake_at() is measured by.
    std::int64_t now_ms() const { return clock_ ? clock_() : steady_clock_ms(); }
    void clock_moved();

  private:
    friend class Job;
    static constexpr std::int64_t kNever = INT64_MAX;

    void run_thread();
    // Called with mutex_ held; run() lets go of it while the body runs.
    void run(Job& job, std::unique_lock<std::mutex>& lock);
    void wait(std::int64_t until_ms, std::unique_lock<std::mutex>& lock);
    void make_ready();
    Job* next_due() const;  // of those that do not run, the one with the earliest time

    const int thread_limit_;
    const std::function<std::int64_t()> clock_;  // empty: the steady clock
    std::mutex mutex_;
    std::condition_variable work_;      // a job became due earlier than before, or stopping
    std::condition_variable finished_;  // a body returned

    // Guarded by mutex_:
    std::vector<Job*> jobs_;
    std::vector<std::thread> threads_;  // only the destructor takes them away
    int idle_threads_ = 0;              // asleep, or on their way out of sleep
    std::int64_t watched_ms_ = kNever;  // the time until which a thread sleeps with a time limit
    bool stopping_ = false;
};

class Scheduler::Job {
  public:
    ~Job();
    // Run at `steady_ms` (of the scheduler's clock) or earlier if it is already due earlier. 0: at once.
    void wake_at(std::int64_t steady_ms);
    void wake() { wake_at(0); }

  private:
    friend class Scheduler;
    Job(Scheduler& scheduler, std::function<void()> body) : scheduler_(scheduler), body_(std::move(body)) {}
    Scheduler& scheduler_;
    const std::function<void()> body_;

    // Guarded by the scheduler's mutex:
    std::int64_t due_ms_ = -1;  // -1: not due
    bool running_ = false;
    bool closing_ = false;  // the destructor waits: no more runs
};

}  // namespace litestream
