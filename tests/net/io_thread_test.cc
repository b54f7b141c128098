#include "shared/net/io_thread.h"

#include <doctest/doctest.h>
#include <pthread.h>

#include <csignal>
#include <ctime>
#include <memory>
#include <stdexcept>

#include "tests/net/net_support.h"

using namespace litestream;

TEST_CASE("a task runs on the I/O thread, and run() waits for it") {
    IoThread io;
    bool was_there = false;

    io.run([&] { was_there = io.is_current(); });

    CHECK(was_there);
    CHECK_FALSE(io.is_current());
}

TEST_CASE("run() from the I/O thread itself runs at once") {
    IoThread io;
    int order = 0;
    int inner = 0;

    io.run([&] {
        io.run([&] { inner = ++order; });
        order++;
    });

    CHECK(inner == 1);
    CHECK(order == 2);
}

TEST_CASE("tasks run in the order in which they were posted") {
    IoThread io;
    std::string order;

    for (const char c : std::string("abc")) io.post([&order, c] { order += c; });
    io.run([] {});

    CHECK(order == "abc");
}

TEST_CASE("a task that throws does not end the thread") {
    IoThread io;
    bool ran = false;

    io.post([] { throw std::runtime_error("a library's"); });
    io.run([&] { ran = true; });

    CHECK(ran);
}

TEST_CASE("signals are blocked on the I/O thread") {
    IoThread io;
    sigset_t mask;
    sigemptyset(&mask);

    io.run([&] { pthread_sigmask(SIG_SETMASK, nullptr, &mask); });

    CHECK(sigismember(&mask, SIGINT) == 1);
    CHECK(sigismember(&mask, SIGTERM) == 1);
}

TEST_CASE("a timer that is started anew fires once, and one that is stopped does not") {
    IoThread io;
    Tally tally;
    std::unique_ptr<IoThread::Timer> again;
    std::unique_ptr<IoThread::Timer> stopped;
    std::unique_ptr<IoThread::Timer> last;

    io.run([&] {
        again = std::make_unique<IoThread::Timer>(io, [&] { tally.add("again"); });
        stopped = std::make_unique<IoThread::Timer>(io, [&] { tally.add("stopped"); });
        last = std::make_unique<IoThread::Timer>(io, [&] { tally.add("last"); });
        again->start(0);
        again->start(0);
        stopped->start(0);
        stopped->stop();
        last->start(20);
    });

    CHECK(tally.wait_for("last"));
    CHECK(tally.count("again") == 1);
    CHECK(tally.count("stopped") == 0);
    io.run([&] {
        again.reset();
        stopped.reset();
        last.reset();
    });
}

TEST_CASE("a timer may be destroyed by what it runs") {
    IoThread io;
    Tally tally;
    std::unique_ptr<IoThread::Timer> timer;

    io.run([&] {
        timer = std::make_unique<IoThread::Timer>(io, [&] {
            timer.reset();
            tally.add("fired");
        });
        timer->start(1);
    });

    CHECK(tally.wait_for("fired"));
}
