// The process dies between a restart of the WAL and the capture of what was committed behind it.
#include <thread>

#include "shared/format/path.h"
#include "tests/vfs/continuity.h"

using namespace litestream;
using namespace litestream::test;

namespace {

constexpr const char* kRestartedUnseen = "the WAL was restarted while nobody captured it";

struct Restart : Continuity {
    std::string in_the_way;  // where the next index goes: what is committed from now on stays in the WAL

    void block_capture() {
        const Position end = store().end();
        in_the_way = "-litestream/" + index_path(end.generation, end.index + 1);
        REQUIRE(write_file_atomically(path + in_the_way, as_bytes("a file"), 0600));
    }
    void die() {
        copy_as_crashed();
        fs::remove(path + in_the_way);
    }
    void insert() { connection->exec("INSERT INTO t(b) VALUES('not captured')"); }
};

}  // namespace

TEST_CASE_FIXTURE(Restart,
                  "killed before the first commits of a new life of the WAL were captured: goes on") {
    const auto restart = [&](const std::string& how) {
        CAPTURE(how);
        connection->exec("PRAGMA wal_checkpoint(" + how + ")");
        block_capture();
        for (int i = 0; i < 3; ++i) insert();
        die();
        reopen();
        check_same();
    };

    restart("TRUNCATE");
    restart("RESTART");
    restart("PASSIVE");
}

TEST_CASE_FIXTURE(Restart, "killed before the first commit behind a clean close was captured: goes on") {
    flush();
    close();
    open();
    block_capture();
    insert();
    die();
    reopen();
    check_same();
}

TEST_CASE_FIXTURE(Restart,
                  "a checkpoint of no WAL proves nothing of what others wrote later: a new generation") {
    close();
    open();
    connection->exec("PRAGMA wal_checkpoint(TRUNCATE)");
    close();
    shell(path, "INSERT INTO t(b) VALUES('foreign')");
    reopen();
    check_new("the WAL is gone and the database file is not as a clean close left it");
}

TEST_CASE_FIXTURE(Restart, "others restart the WAL between the open and the first look: a new generation") {
    flush();
    close();
    sqlite3* raw = nullptr;
    REQUIRE(sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE, "unix") == SQLITE_OK);
    const std::unique_ptr<sqlite3, int (*)(sqlite3*)> other(raw, sqlite3_close);
    const auto run = [&](const char* sql) {
        CHECK(sqlite3_exec(raw, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
    };
    run("PRAGMA wal_autocheckpoint=0; INSERT INTO t(b) VALUES('others')");
    // Capture cannot begin: a folder lies where its lock goes.
    const std::string lock = path + "-litestream/capture-lock";
    fs::remove(lock);
    fs::create_directory(lock);
    open();

    run("PRAGMA wal_checkpoint(RESTART); INSERT INTO t(b) VALUES('others again')");
    fs::remove(lock);

    replicate();
    check_restore();
    check_new(kRestartedUnseen);
}

TEST_CASE_FIXTURE(Restart, "others begin a WAL behind a clean close and go on: goes on") {
    flush();
    close();
    sqlite3* raw = nullptr;
    REQUIRE(sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE, "unix") == SQLITE_OK);
    const std::unique_ptr<sqlite3, int (*)(sqlite3*)> other(raw, sqlite3_close);
    CHECK(sqlite3_exec(raw, "INSERT INTO t(b) VALUES('others')", nullptr, nullptr, nullptr) == SQLITE_OK);

    reopen();

    check_same();
}

TEST_CASE_FIXTURE(Restart, "a restart over what was not captured leaves no proof: a new generation") {
    connection->exec("PRAGMA wal_checkpoint(TRUNCATE)");
    block_capture();
    host_registry().find(path)->set_gate_limit(1);
    insert();
    connection->exec("PRAGMA wal_checkpoint(TRUNCATE)");
    insert();
    die();
    reopen();
    check_new(kRestartedUnseen);
}
