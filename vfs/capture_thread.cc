#include "vfs/capture_thread.h"

#include <chrono>

#include "shared/base/clock.h"
#include "shared/base/threads.h"
#include "vfs/capture.h"
#include "vfs/database.h"

namespace litestream {

namespace {

// Ringing a thread that naps costs a commit 9 ns, waking one that sleeps 3 us: it naps for as long as
// commits come this often.
constexpr auto kNap = std::chrono::microseconds(150);
constexpr int kQuietNaps = 8;
constexpr std::int64_t kNever = -1;

}  // namespace

CaptureThread::~CaptureThread() {
    if (thread_.joinable()) thread_.detach();  // only a host that exits without closing gets here
}

void CaptureThread::add(const std::shared_ptr<Database>& database) {
    {
        const std::lock_guard lock(list_mutex_);
        if (!files_) files_ = std::make_unique<FileWatch>();
        databases_.push_back(database);
        stopping_ = false;
    }
    if (!thread_.joinable()) {
        const BlockedSignals blocked;
        thread_ = std::thread([this] { run(); });
    }
    wake();
}

void CaptureThread::remove(const Database& database) {
    bool last = false;
    {
        std::unique_lock lock(list_mutex_);
        std::erase_if(databases_, [&](const auto& entry) { return entry.get() == &database; });
        std::erase_if(watched_, [&](const auto& entry) {
            if (entry.second != &database) return false;
            files_->remove(entry.first);
            return true;
        });
        looked_.wait(lock, [&] { return current_ != &database; });
        last = stopping_ = databases_.empty();
    }
    if (!last || !thread_.joinable()) return;
    wake_sleeper();
    thread_.join();
}

void CaptureThread::forget_after_fork() {
    if (thread_.joinable()) thread_.detach();
}

bool CaptureThread::watch(Database& database, const std::string& path, FileWatch::Event event) {
    const std::lock_guard lock(list_mutex_);
    const int watch = files_->add(path, event);
    if (watch >= 0) watched_[watch] = &database;
    return watch >= 0;
}

void CaptureThread::take_events() {
    const std::lock_guard lock(list_mutex_);
    files_->take_events([this](int watch, bool is_over) {
        for (const auto& [number, database] : watched_) {
            if (watch == -1 || watch == number) database->touch();
        }
        if (is_over) watched_.erase(watch);
    });
}

void CaptureThread::run() {
    int quiet = 0;
    while (true) {
        take_events();
        std::int64_t retry_ms = kNever;
        quiet = look_at_rung(retry_ms) ? 0 : quiet + 1;
        {
            const std::lock_guard lock(list_mutex_);
            if (stopping_) return;
        }
        if (quiet < kQuietNaps) {
            std::this_thread::sleep_for(kNap);
        } else {
            sleep_until_rung(retry_ms);
        }
    }
}

// False: no bell had rung. `retry_ms`: when the earliest failed look is to be repeated.
bool CaptureThread::look_at_rung(std::int64_t& retry_ms) {
    bool any = false;
    std::unique_lock lock(list_mutex_);
    for (std::size_t i = 0; i < databases_.size(); ++i) {
        const std::shared_ptr<Database> database = databases_[i];
        const std::int64_t due_ms = database->capture().retry_ms();
        const bool retry = due_ms != kNever && due_ms <= steady_clock_ms();
        if (database->take_ring() || retry) {
            any = true;
            current_ = database.get();
            lock.unlock();
            database->capture().look();
            lock.lock();
            current_ = nullptr;
            looked_.notify_all();
        }
        const std::int64_t next_ms = database->capture().retry_ms();
        if (next_ms != kNever && (retry_ms == kNever || next_ms < retry_ms)) retry_ms = next_ms;
    }
    return any;
}

bool CaptureThread::any_rung() {
    const std::lock_guard lock(list_mutex_);
    if (stopping_) return true;
    for (const auto& database : databases_) {
        if (database->has_rung()) return true;
    }
    return false;
}

// A bell that rings after any_rung() sees asleep_ and calls.
void CaptureThread::sleep_until_rung(std::int64_t retry_ms) {
    asleep_.store(true);
    if (!any_rung()) {
        const bool has_retry = retry_ms != kNever;
        files_->sleep(has_retry ? std::max<std::int64_t>(retry_ms - steady_clock_ms(), 1) : -1);
    }
    asleep_.store(false);
}

void CaptureThread::wake_sleeper() {
    asleep_.store(false);
    files_->wake();
}

}  // namespace litestream
