// SQLite's WAL-reset bug (https://sqlite.org/wal.html#walresetbug): a checkpointer that has read the
// wal-index header, but has not begun to copy, meets a writer that restarts the WAL. Before 3.51.3 the
// checkpointer then marks frames as copied that the new life does not have yet, and they are lost.
//
// SQLite calls xUnfetch(0, NULL) right between the two, and so a shim above either VFS can let the writer in.
#include <doctest/doctest.h>

#include <functional>

#include "tests/support/sqlite_host.h"
#include "vfs/pass_methods.h"
#include "vfs/registry.h"

using namespace litestream;
using namespace litestream::test;

namespace {

// What a checkpointer lets happen, once.
std::function<void()> t_at_unfetch;

struct DelayedFile {
    sqlite3_file base;
    sqlite3_file* below() { return reinterpret_cast<sqlite3_file*>(this + 1); }
    static DelayedFile* from(sqlite3_file* file) { return reinterpret_cast<DelayedFile*>(file); }
};

int x_unfetch(sqlite3_file* file, sqlite3_int64 offset, void* page) {
    if (page == nullptr && t_at_unfetch) std::exchange(t_at_unfetch, nullptr)();
    return pass_below<DelayedFile, &sqlite3_io_methods::xUnfetch>(file, offset, page);
}

const sqlite3_io_methods kMethods = [] {
    sqlite3_io_methods methods = pass_methods<DelayedFile>(3);
    methods.xUnfetch = x_unfetch;
    return methods;
}();

// Main files of this VFS are delayed, everything else is the base's own.
class DelayedVfs {
  public:
    explicit DelayedVfs(const char* base) {
        host_registry();
        base_ = sqlite3_vfs_find(base);
        vfs_ = *base_;
        vfs_.zName = "delayed";
        vfs_.szOsFile = base_->szOsFile + static_cast<int>(sizeof(DelayedFile));
        vfs_.xOpen = [](sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
            if ((flags & SQLITE_OPEN_MAIN_DB) == 0) return base_->xOpen(base_, name, file, flags, out_flags);
            const int rc =
                base_->xOpen(base_, name, reinterpret_cast<DelayedFile*>(file)->below(), flags, out_flags);
            file->pMethods = rc == SQLITE_OK ? &kMethods : nullptr;
            return rc;
        };
        vfs_.xDelete = [](sqlite3_vfs*, const char* n, int s) { return base_->xDelete(base_, n, s); };
        sqlite3_vfs_register(&vfs_, 0);
    }
    ~DelayedVfs() { sqlite3_vfs_unregister(&vfs_); }
    DelayedVfs(const DelayedVfs&) = delete;
    DelayedVfs& operator=(const DelayedVfs&) = delete;

  private:
    static inline sqlite3_vfs* base_ = nullptr;
    sqlite3_vfs vfs_ = {};
};

std::string rows(int count) {
    return "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<" + std::to_string(count) +
           ") INSERT INTO t(b) SELECT randomblob(2000) FROM n;";
}

void wait_until_captured(const std::string& path) {
    const auto database = host_registry().find(path);
    if (database) REQUIRE(database->wait_captured(30'000));
}

struct Outcome {
    bool restarted_in_between = false;
    std::string rows;
    std::string check;
};

std::uint64_t wal_frames(Connection& connection) {
    int in_log = 0;
    sqlite3_wal_checkpoint_v2(connection.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &in_log, nullptr);
    return static_cast<std::uint64_t>(in_log);
}

std::string wal_salts(const std::string& path) {
    const auto bytes = read_file(path + "-wal", 64u << 20);
    REQUIRE(bytes);
    return std::string(as_text(*bytes).substr(16, 8));
}

// 81 rows are committed; `outcome.rows` says how many a new connection finds.
Outcome race_checkpoint_with_restart(const std::string& path, const char* base) {
    const DelayedVfs delayed(base);
    Connection writer(path, base);
    writer.exec(
        "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;"
        "CREATE TABLE t(id INTEGER PRIMARY KEY, b)");
    Connection checkpointer(path, "delayed");
    checkpointer.exec("PRAGMA wal_autocheckpoint=0; SELECT count(*) FROM t");
    writer.exec(rows(60));  // the checkpointer has not seen this yet
    wait_until_captured(path);
    wal_frames(writer);  // all are copied: the next writer may restart the WAL
    const std::string life = wal_salts(path);
    Outcome outcome;
    t_at_unfetch = [&] { writer.exec(rows(1)); };

    checkpointer.exec("PRAGMA wal_checkpoint");
    REQUIRE_FALSE(t_at_unfetch);  // it was called

    outcome.restarted_in_between = wal_salts(path) != life;
    for (int i = 0; i < 20; ++i) writer.exec(rows(1));
    Connection reader(path, "unix");
    if (reader.try_exec("PRAGMA integrity_check; SELECT count(*) FROM t") == SQLITE_OK) {
        outcome.rows = reader.text("SELECT count(*) FROM t");
        outcome.check = reader.text("PRAGMA integrity_check");
    }
    return outcome;
}

}  // namespace

TEST_CASE("a checkpointer that meets a restart loses commits in SQLite 3.40.1, and not through this VFS") {
    TempDirectory directory;

    const Outcome plain = race_checkpoint_with_restart(directory.path("plain.db"), "unix");
    const Outcome ours = race_checkpoint_with_restart(directory.path("ours.db"), "litestream");

    CHECK(ours.rows == "81");
    CHECK(ours.check == "ok");
    CHECK_FALSE(ours.restarted_in_between);
    CHECK(plain.restarted_in_between);
    // Fixed in 3.51.3, 3.50.7, 3.44.6: there both are well.
    if (sqlite3_libversion_number() < 3044000) CHECK((plain.rows != "81" || plain.check != "ok"));
}

TEST_CASE("a writer appends while another holds the checkpoint lock, and restarts the WAL afterwards") {
    TempDirectory directory;
    const std::string path = directory.path("app.db");
    Connection writer(path);
    writer.exec(
        "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(id INTEGER PRIMARY KEY, b)");
    writer.exec(rows(10));
    wait_until_captured(path);
    const std::uint64_t copied = wal_frames(writer);
    Connection other(path, "unix");
    other.exec("SELECT count(*) FROM t");
    sqlite3_file* file = nullptr;
    REQUIRE(sqlite3_file_control(other.get(), "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK);
    constexpr int kCheckpointByte = 1;

    REQUIRE(file->pMethods->xShmLock(file, kCheckpointByte, 1, SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE) ==
            SQLITE_OK);
    writer.exec(rows(1));
    file->pMethods->xShmLock(file, kCheckpointByte, 1, SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE);
    wait_until_captured(path);
    const std::uint64_t appended = wal_frames(writer);
    writer.exec(rows(1));
    wait_until_captured(path);

    CHECK(appended > copied);
    CHECK(wal_frames(writer) < copied);
}

TEST_CASE("checkpoints that hold the checkpoint lock themselves restart and truncate the WAL") {
    TempDirectory directory;
    const std::string path = directory.path("app.db");
    Connection connection(path);
    connection.exec("PRAGMA journal_mode=WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, b)");
    for (const char* mode : {"RESTART", "TRUNCATE"}) {
        connection.exec(rows(5));
        CHECK(connection.text(std::string("PRAGMA wal_checkpoint(") + mode + ")") == "0");
        connection.exec(rows(1));
        CHECK(wal_frames(connection) < 5);
    }
}
