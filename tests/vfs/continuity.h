// Continuity: a replicated database that things happen to, while we run and while we do not. Its tests say
// whether the generation goes on or a new one begins, for which reason, and that a restore brings back
// everything. Other programs are the stock sqlite3 shell.
#pragma once

#include <spawn.h>
#include <sys/wait.h>

#include <filesystem>
#include <memory>
#include <string>

#include "tests/vfs/replicated.h"

namespace litestream::test {

namespace fs = std::filesystem;

// The stock shell in a process of its own.
inline void shell(const std::string& path, const std::string& sql) {
    const char* arguments[] = {"sqlite3",           "-batch",     "-bail",     "-cmd",
                               ".output /dev/null", path.c_str(), sql.c_str(), nullptr};
    pid_t process = 0;
    REQUIRE(::posix_spawnp(&process, "sqlite3", nullptr, nullptr, const_cast<char**>(arguments), environ) ==
            0);
    int status = 0;
    REQUIRE(::waitpid(process, &status, 0) == process);
    CHECK(status == 0);
}

struct Continuity : Replicated {
    std::unique_ptr<Connection> connection;
    std::string generation_before;

    // A replicated database with some commits.
    Continuity() {
        open();
        connection->exec("CREATE TABLE t(id INTEGER PRIMARY KEY, b)");
        replicate();
        for (int i = 0; i < 5; ++i) write();
        generation_before = generation();
    }
    ~Continuity() { stop_replicating(); }

    void open() {
        connection = std::make_unique<Connection>(path);
        connection->exec(
            "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; SELECT count(*) FROM sqlite_master");
    }
    void write() {
        connection->exec("INSERT INTO t(b) VALUES(randomblob(3000))");
        flush();
    }
    void close() {
        stop_replicating();
        connection.reset();
    }
    // The process dies: what is on disk at this moment is all that is left, under another path.
    void crash() {
        captured();
        copy_as_crashed();
    }
    void copy_as_crashed() {
        const std::string left = directory.path("left" + std::to_string(++crashes_));
        fs::create_directory(left);
        for (const char* suffix : {"", "-wal", "-litestream"}) {
            if (fs::exists(path + suffix))
                fs::copy(path + suffix, left + "/app.db" + suffix, fs::copy_options::recursive);
        }
        close();
        path = left + "/app.db";
    }
    // Opens it again; one more commit; everything restores.
    void reopen() {
        open();
        replicate();
        check_restore();
    }
    void check_restore() {
        flush();
        CHECK(restored() == dump(*connection));
        write();
        CHECK(restored() == dump(*connection));
        CHECK(host_registry().find(path)->capture_error().empty());
    }
    void check_same() { CHECK_MESSAGE(generation() == generation_before, reason()); }
    void check_new(const std::string& expected) {
        CHECK_MESSAGE(generation() != generation_before, reason());
        CHECK(reason() == expected);
    }
    std::string segment_file(std::size_t from_end) {
        const auto segments = store().segments_after({generation(), 0, 0}, 1u << 30);
        return store().file_of(segments.at(segments.size() - 1 - from_end));
    }

    // The same file in what the crash left.
    std::string after_crash(const std::string& file) const {
        return path + file.substr(file.find("-litestream/"));
    }

  private:
    int crashes_ = 0;
};

}  // namespace litestream::test
