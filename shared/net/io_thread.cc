#include "shared/net/io_thread.h"

#include <pthread.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <exception>
#include <future>
#include <mutex>
#include <system_error>
#include <thread>

#include "shared/base/log.h"
#include "shared/base/threads.h"

namespace litestream {
namespace {

namespace asio = boost::asio;

// No exception of a handler may end the host; the loop goes on with the next one.
void run_guarded(asio::io_context& context) {
    for (;;) {
        try {
            context.run();
            return;
        } catch (const std::exception& failure) {
            log_line(std::string("litestream: network: ") + failure.what());
        } catch (...) {
            log_line("litestream: network: unknown failure");
        }
    }
}

}  // namespace

struct IoThread::Impl {
    asio::io_context context{1};
    asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
    std::atomic<std::thread::id> id{};
    std::mutex mutex;
    std::thread thread;  // guarded by mutex

    bool start();
    void main();
};

// The host's signals belong to the host's threads: a thread inherits the mask of its maker.
bool IoThread::Impl::start() {
    const std::lock_guard lock(mutex);
    if (thread.joinable()) return true;
    const BlockedSignals blocked;
    try {
        thread = std::thread([this] { main(); });
    } catch (const std::system_error& failure) {
        log_line(std::string("litestream: cannot start the network's thread: ") + failure.what());
    }
    return thread.joinable();
}

void IoThread::Impl::main() {
    pthread_setname_np(pthread_self(), "litestream-io");
    id = std::this_thread::get_id();
    run_guarded(context);
}

IoThread::IoThread() : impl_(std::make_unique<Impl>()) {}

IoThread::~IoThread() {
    impl_->context.stop();
    const std::lock_guard lock(impl_->mutex);
    if (impl_->thread.joinable()) impl_->thread.join();
}

void IoThread::post(std::function<void()> task) {
    asio::post(impl_->context, std::move(task));
    impl_->start();  // where it fails, the task waits for the next attempt
}

void IoThread::run(const std::function<void()>& task) {
    if (is_current() || !impl_->start()) return task();
    std::promise<void> done;
    asio::post(impl_->context, [&] {
        try {
            task();
        } catch (...) {
            log_line("litestream: network: a task failed");
        }
        done.set_value();
    });
    done.get_future().wait();
}

bool IoThread::is_current() const { return impl_->id.load() == std::this_thread::get_id(); }
asio::io_context& IoThread::context() { return impl_->context; }

struct IoThread::Timer::State {
    asio::steady_timer timer;
    std::function<void()> body;
    std::uint64_t round =
        0;  // an expiry that waits in the queue when the timer is touched is of an old round
};

IoThread::Timer::Timer(IoThread& io, std::function<void()> body)
    : state_(std::make_shared<State>(State{asio::steady_timer(io.context()), std::move(body)})) {}

IoThread::Timer::~Timer() { stop(); }

void IoThread::Timer::start(std::int64_t delay_ms) {
    const std::uint64_t round = ++state_->round;
    state_->timer.expires_after(std::chrono::milliseconds(delay_ms));
    state_->timer.async_wait([state = state_, round](const boost::system::error_code& error) {
        if (error || state->round != round) return;
        const auto body = state->body;  // the body may destroy the timer
        body();
    });
}

void IoThread::Timer::stop() {
    state_->round++;
    state_->timer.cancel();
}

}  // namespace litestream
