#include "shared/base/file_lock.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "tests/support/temp_directory.h"

using namespace litestream;

namespace {

// Whether `body` holds in a child process: record locks are between processes.
bool in_child(const std::function<bool()>& body) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(body() ? 0 : 1);
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool takes(const std::string& path) {
    FileLock lock;
    const auto taken = lock.try_lock(path, 0600);
    return taken && *taken;
}

}  // namespace

TEST_CASE("a lock keeps other processes out and says who has it") {
    TempDirectory temp;
    const std::string path = temp.path("lock");
    FileLock lock;

    REQUIRE(lock.try_lock(path, 0600));

    CHECK(lock.is_held());
    const pid_t us = ::getpid();
    CHECK(in_child([&] {
        FileLock theirs;
        const auto taken = theirs.try_lock(path, 0600);
        return taken && !*taken && theirs.holder() == us && !theirs.is_held();
    }));
    lock.release();
    CHECK_FALSE(lock.is_held());
    CHECK(in_child([&] { return takes(path); }));
}

TEST_CASE("a lock that was refused is not held once its holder has gone") {
    TempDirectory temp;
    const std::string path = temp.path("lock");
    int to_child[2];
    int to_us[2];
    REQUIRE(::pipe(to_child) == 0);
    REQUIRE(::pipe(to_us) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        FileLock theirs;
        const bool taken = takes(path) && theirs.try_lock(path, 0600).has_value();
        char c = taken ? 'y' : 'n';
        const bool told = ::write(to_us[1], &c, 1) == 1 && ::read(to_child[0], &c, 1) == 1;
        ::_exit(told ? 0 : 1);
    }
    char c = 0;
    REQUIRE(::read(to_us[0], &c, 1) == 1);
    REQUIRE(c == 'y');
    FileLock lock;
    const auto refused = lock.try_lock(path, 0600);

    REQUIRE(::write(to_child[1], &c, 1) == 1);
    ::waitpid(child, nullptr, 0);

    REQUIRE(refused);
    CHECK_FALSE(*refused);
    CHECK_FALSE(lock.is_held());
    const auto taken = lock.try_lock(path, 0600);
    REQUIRE(taken);
    CHECK(*taken);
    for (const int descriptor : {to_child[0], to_child[1], to_us[0], to_us[1]}) ::close(descriptor);
}

TEST_CASE("a lock on a file that was removed is not held") {
    TempDirectory temp;
    const std::string path = temp.path("lock");
    FileLock lock;
    REQUIRE(lock.try_lock(path, 0600));

    std::filesystem::remove(path);

    CHECK_FALSE(lock.is_held());
    const auto again = lock.try_lock(path, 0600);
    REQUIRE(again);
    CHECK(*again);
    CHECK(lock.is_held());
}

TEST_CASE("a lock that somebody else took over after a descriptor was closed is not held") {
    TempDirectory temp;
    const std::string path = temp.path("lock");
    FileLock lock;
    REQUIRE(lock.try_lock(path, 0600));

    ::close(::open(path.c_str(), O_RDONLY));  // drops the lock of the whole process

    CHECK(in_child([&] { return takes(path); }));
    CHECK(lock.is_held());  // asking takes it back while it is free
    CHECK_FALSE(in_child([&] { return takes(path); }));
}

TEST_CASE("a symbolic link is not followed") {
    TempDirectory temp;
    std::filesystem::create_symlink(temp.path("elsewhere"), temp.path("lock"));
    FileLock lock;

    const auto taken = lock.try_lock(temp.path("lock"), 0600);

    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == ErrorCode::kCantOpen);
    CHECK_FALSE(std::filesystem::exists(temp.path("elsewhere")));
}
