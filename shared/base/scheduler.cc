#include "shared/base/scheduler.h"

#include <pthread.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <exception>
#include <system_error>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/base/threads.h"

namespace litestream {
namespace {

// A later time than this is looked at again, so that no clock arithmetic can overflow.
constexpr std::int64_t kLongestWaitMs = std::int64_t{24} * 3600 * 1000;

// No exception of a library that a job uses may end the host.
void run_guarded(const std::function<void()>& body) {
    try {
        body();
    } catch (const std::exception& error) {
        log_line(std::string("litestream: a background job failed: ") + error.what());
    } catch (...) {
        log_line("litestream: a background job failed");
    }
}

}  // namespace

Scheduler::~Scheduler() {
    {
        const std::lock_guard lock(mutex_);
        assert(jobs_.empty());
        stopping_ = true;
    }
    work_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

std::unique_ptr<Scheduler::Job> Scheduler::add_job(std::function<void()> body) {
    std::unique_ptr<Job> job(new Job(*this, std::move(body)));
    const std::lock_guard lock(mutex_);
    jobs_.push_back(job.get());
    return job;
}

Scheduler::Job* Scheduler::next_due() const {
    Job* next = nullptr;
    for (Job* job : jobs_) {
        if (job->due_ms_ < 0 || job->running_) continue;
        if (next == nullptr || job->due_ms_ < next->due_ms_) next = job;
    }
    return next;
}

void Scheduler::run_thread() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        Job* job = next_due();
        const std::int64_t now_ms = this->now_ms();
        if (job != nullptr && job->due_ms_ <= now_ms) {
            run(*job, lock);
        } else {
            wait(job == nullptr ? kNever : std::min(job->due_ms_, now_ms + kLongestWaitMs), lock);
        }
    }
}

void Scheduler::run(Job& job, std::unique_lock<std::mutex>& lock) {
    job.running_ = true;
    job.due_ms_ = -1;
    // Whoever goes to work leaves the rest of the jobs, and the watch over the clock, to another.
    if (next_due() != nullptr) make_ready();
    lock.unlock();
    run_guarded(job.body_);
    lock.lock();
    job.running_ = false;
    finished_.notify_all();
}

void Scheduler::wait(std::int64_t until_ms, std::unique_lock<std::mutex>& lock) {
    idle_threads_++;
    if (clock_ || until_ms >= watched_ms_) {
        work_.wait(lock);  // another thread watches the clock for this time or an earlier one
    } else {
        watched_ms_ = until_ms;
        work_.wait_until(lock, std::chrono::steady_clock::time_point(std::chrono::milliseconds(until_ms)));
        if (watched_ms_ == until_ms) watched_ms_ = kNever;
    }
    idle_threads_--;
}

void Scheduler::clock_moved() {
    {
        const std::lock_guard lock(mutex_);
        if (next_due() != nullptr) make_ready();
    }
    work_.notify_all();
}

// Wakes a thread, or starts one if all are at work and more are allowed.
void Scheduler::make_ready() {
    work_.notify_one();
    if (idle_threads_ > 0 || threads_.size() >= static_cast<std::size_t>(thread_limit_)) return;
    const BlockedSignals blocked;
    try {
        threads_.emplace_back([this] { run_thread(); });
    } catch (const std::system_error& error) {
        // With other threads the job waits for them; without, for the next wake.
        log_line(std::string("litestream: cannot start a thread: ") + error.what());
    }
}

Scheduler::Job::~Job() {
    std::unique_lock lock(scheduler_.mutex_);
    due_ms_ = -1;
    closing_ = true;
    scheduler_.finished_.wait(lock, [this] { return !running_; });
    std::erase(scheduler_.jobs_, this);
}

void Scheduler::Job::wake_at(std::int64_t steady_ms) {
    // "At once" takes its place behind what is overdue, so that a job that wakes itself starves nobody.
    if (steady_ms <= 0) steady_ms = scheduler_.now_ms();
    const std::lock_guard lock(scheduler_.mutex_);
    if (closing_ || (due_ms_ >= 0 && due_ms_ <= steady_ms)) return;
    due_ms_ = steady_ms;
    const bool is_watched = steady_ms >= scheduler_.watched_ms_;
    if (!running_ && !is_watched) scheduler_.make_ready();
}

}  // namespace litestream
