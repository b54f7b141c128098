// IoThread: the one thread of all sockets and timers of this process. It starts with the first work that is
// given to it and sleeps in the kernel while nothing happens. Signals are blocked on it.
//
// Thread-safe. A task runs on the I/O thread, must not block, and must not throw.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace litestream {

class IoThread {
  public:
    IoThread();
    ~IoThread();  // everything that uses it is gone
    IoThread(const IoThread&) = delete;
    IoThread& operator=(const IoThread&) = delete;

    void post(std::function<void()> task);
    // Runs it there and waits for its end; from the I/O thread itself: at once.
    void run(const std::function<void()>& task);
    bool is_current() const;
    boost::asio::io_context& context();  // for the .cc files of this folder

    // Runs `body` on the I/O thread once the time has come; started anew, only the new time counts. Started,
    // stopped and destroyed on the I/O thread.
    class Timer {
      public:
        Timer(IoThread& io, std::function<void()> body);
        ~Timer();
        void start(std::int64_t delay_ms);
        void stop();

      private:
        struct State;
        std::shared_ptr<State> state_;
    };

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace litestream
