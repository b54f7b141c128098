#include "shared/base/scheduler.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>

#include "shared/base/clock.h"

using namespace litestream;

namespace {

// What the jobs of a test did, and a way to wait for it with a deadline.
class Journal {
  public:
    void add(const std::string& entry) {
        const std::lock_guard lock(mutex_);
        text_ += entry;
        changed_.notify_all();
    }
    bool wait_for(const std::string& text) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return text_ == text; });
    }
    std::string text() {
        const std::lock_guard lock(mutex_);
        return text_;
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::string text_;
};

// Holds a body until the test opens it.
class Door {
  public:
    void open() {
        const std::lock_guard lock(mutex_);
        is_open_ = true;
        changed_.notify_all();
    }
    void pass() {
        std::unique_lock lock(mutex_);
        CHECK(changed_.wait_for(lock, std::chrono::seconds(30), [&] { return is_open_; }));
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool is_open_ = false;
};

constexpr std::int64_t kFarAwayMs = 3600 * 1000;

std::int64_t context_switches() {
    rusage usage = {};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw + usage.ru_nivcsw;
}

}  // namespace

TEST_CASE("a woken job runs, once for each wake that it has seen") {
    Journal journal;
    Scheduler scheduler(2);
    const auto job = scheduler.add_job([&] { journal.add("x"); });

    job->wake();
    CHECK(journal.wait_for("x"));
    job->wake();
    CHECK(journal.wait_for("xx"));
}

TEST_CASE("a job that nobody wakes does not run") {
    Journal journal;
    Scheduler scheduler(2);
    const auto quiet = scheduler.add_job([&] { journal.add("quiet"); });
    const auto job = scheduler.add_job([&] { journal.add("x"); });

    job->wake();

    CHECK(journal.wait_for("x"));
}

TEST_CASE("a job woken while it runs runs once more, however often it was woken") {
    Journal journal;
    Door door;
    Scheduler scheduler(2);
    const auto job = scheduler.add_job([&] {
        journal.add("[");
        door.pass();
        journal.add("]");
    });

    job->wake();
    REQUIRE(journal.wait_for("["));
    for (int i = 0; i < 5; i++) job->wake();
    door.open();

    CHECK(journal.wait_for("[][]"));
}

TEST_CASE("a job may wake itself") {
    Journal journal;
    Scheduler scheduler(1);
    Scheduler::Job* self = nullptr;
    int runs = 0;
    const auto job = scheduler.add_job([&] {
        journal.add("x");
        if (++runs < 3) self->wake();
    });
    self = job.get();

    job->wake();

    CHECK(journal.wait_for("xxx"));
}

TEST_CASE("a job that always wakes itself leaves room for another on the same thread") {
    Journal journal;
    std::atomic<bool> stop = false;
    Scheduler scheduler(1);
    Scheduler::Job* self = nullptr;
    const auto busy = scheduler.add_job([&] {
        if (!stop) self->wake();
    });
    self = busy.get();
    const auto job = scheduler.add_job([&] { journal.add("x"); });

    busy->wake();
    job->wake();

    CHECK(journal.wait_for("x"));
    stop = true;
}

TEST_CASE("jobs run in the order of their times, not of their wakes") {
    Journal journal;
    Door door;
    Scheduler scheduler(1);
    const auto first = scheduler.add_job([&] { door.pass(); });
    const auto a = scheduler.add_job([&] { journal.add("a"); });
    const auto b = scheduler.add_job([&] { journal.add("b"); });
    const auto c = scheduler.add_job([&] { journal.add("c"); });
    const std::int64_t now_ms = steady_clock_ms();

    first->wake();
    c->wake_at(now_ms + 30);
    a->wake_at(now_ms + 10);
    b->wake_at(now_ms + 20);
    door.open();

    CHECK(journal.wait_for("abc"));
}

TEST_CASE("a job does not run before its time") {
    Journal journal;
    Scheduler scheduler(2);
    std::int64_t ran_ms = 0;
    const auto job = scheduler.add_job([&] {
        ran_ms = steady_clock_ms();
        journal.add("x");
    });
    const std::int64_t due_ms = steady_clock_ms() + 20;

    job->wake_at(due_ms);

    CHECK(journal.wait_for("x"));
    CHECK(ran_ms >= due_ms);
}

TEST_CASE("the earlier of two times counts, whichever came first") {
    Journal journal;
    Scheduler scheduler(2);
    const auto a = scheduler.add_job([&] { journal.add("a"); });
    const auto b = scheduler.add_job([&] { journal.add("b"); });

    a->wake_at(steady_clock_ms() + kFarAwayMs);
    a->wake();
    CHECK(journal.wait_for("a"));
    b->wake();
    b->wake_at(steady_clock_ms() + kFarAwayMs);
    CHECK(journal.wait_for("ab"));
}

TEST_CASE("a nearer time is met although a thread sleeps for a later one") {
    Journal journal;
    Scheduler scheduler(2);
    const auto far = scheduler.add_job([&] { journal.add("far"); });
    const auto middle = scheduler.add_job([&] { journal.add("m"); });
    const auto near = scheduler.add_job([&] { journal.add("n"); });
    const std::int64_t now_ms = steady_clock_ms();

    far->wake_at(now_ms + kFarAwayMs);
    middle->wake_at(now_ms + kFarAwayMs / 2);
    near->wake_at(now_ms + 20);

    CHECK(journal.wait_for("n"));
}

TEST_CASE("a time at the end of the clock harms nobody") {
    Journal journal;
    Scheduler scheduler(1);
    const auto never = scheduler.add_job([&] { journal.add("never"); });
    const auto job = scheduler.add_job([&] { journal.add("x"); });

    never->wake_at(INT64_MAX);
    job->wake();

    CHECK(journal.wait_for("x"));
}

TEST_CASE("jobs run beside each other when there are threads") {
    Journal journal;
    Door door;
    Scheduler scheduler(2);
    const auto blocked = scheduler.add_job([&] {
        journal.add("[");
        door.pass();
    });
    const auto job = scheduler.add_job([&] { journal.add("x"); });

    blocked->wake();
    REQUIRE(journal.wait_for("["));
    job->wake();

    CHECK(journal.wait_for("[x"));
    door.open();
}

TEST_CASE("the destructor of a job waits for its body") {
    Journal journal;
    Door door;
    Scheduler scheduler(2);
    auto job = scheduler.add_job([&] {
        journal.add("[");
        door.pass();
        journal.add("]");
    });
    job->wake();
    REQUIRE(journal.wait_for("["));

    std::thread opener([&] { door.open(); });
    job.reset();

    CHECK(journal.text() == "[]");
    opener.join();
}

TEST_CASE("a job that waits for its end runs no more, even if it wakes itself") {
    Journal journal;
    Scheduler scheduler(1);
    Scheduler::Job* self = nullptr;
    auto job = scheduler.add_job([&] {
        self->wake();
        journal.add("x");
    });
    self = job.get();
    job->wake();

    job.reset();

    const std::string before = journal.text();
    const auto other = scheduler.add_job([&] { journal.add("other"); });
    other->wake();
    CHECK(journal.wait_for(before + "other"));
}

TEST_CASE("a scheduler that never had work ends") {
    Scheduler scheduler(2);
    const auto job = scheduler.add_job([] {});
}

TEST_CASE("an exception of a body ends that run, not the thread") {
    Journal journal;
    Scheduler scheduler(1);
    const auto thrower = scheduler.add_job([&] {
        journal.add("!");
        throw std::runtime_error("no");
    });
    const auto job = scheduler.add_job([&] { journal.add("x"); });

    thrower->wake();
    REQUIRE(journal.wait_for("!"));
    job->wake();

    CHECK(journal.wait_for("!x"));
}

TEST_CASE("the host's signals are blocked on the threads of jobs, and only there") {
    Journal journal;
    Scheduler scheduler(1);
    sigset_t mask;
    const auto job = scheduler.add_job([&] {
        ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        journal.add("x");
    });

    job->wake();

    REQUIRE(journal.wait_for("x"));
    CHECK(::sigismember(&mask, SIGINT) == 1);
    CHECK(::sigismember(&mask, SIGCHLD) == 1);
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    CHECK(::sigismember(&mask, SIGINT) == 0);
}

TEST_CASE("waiting for a time is sleep, not a loop") {
    Journal journal;
    Scheduler scheduler(4);
    const auto far = scheduler.add_job([] {});
    const auto job = scheduler.add_job([&] { journal.add("x"); });
    far->wake_at(steady_clock_ms() + kFarAwayMs);
    job->wake();
    REQUIRE(journal.wait_for("x"));

    const std::int64_t before = context_switches();
    const std::clock_t cpu_before = std::clock();
    job->wake_at(steady_clock_ms() + 200);
    REQUIRE(journal.wait_for("xx"));

    CHECK(context_switches() - before < 100);
    CHECK(std::clock() - cpu_before < CLOCKS_PER_SEC / 10);
}

TEST_CASE("a scheduler with a clock of its own runs what is due by that clock, when it is moved") {
    std::atomic<std::int64_t> clock_ms = 1000;
    Journal journal;
    Scheduler scheduler(2, [&] { return clock_ms.load(); });
    const auto late = scheduler.add_job([&] { journal.add("late "); });
    const auto early = scheduler.add_job([&] { journal.add("early "); });

    late->wake_at(scheduler.now_ms() + 2 * kFarAwayMs);
    early->wake_at(scheduler.now_ms() + kFarAwayMs);
    for (const char* expected : {"early ", "early late "}) {
        clock_ms += kFarAwayMs;
        scheduler.clock_moved();
        CHECK(journal.wait_for(expected));
    }
}
