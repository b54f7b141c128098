// What the shim passes through: file kinds, file controls, versions, and other shims above it.
#include <doctest/doctest.h>

#include <cstring>

#include "tests/support/sqlite_host.h"
#include "vfs/pass_methods.h"
#include "vfs/shim_file.h"
#include "vfs/shim_vfs.h"

using namespace litestream;
using namespace litestream::test;

namespace {

struct Fixture {
    TempDirectory directory;
    std::string path = directory.path("app.db");
};

std::string vfs_name(Connection& connection) {
    char* name = nullptr;
    sqlite3_file_control(connection.get(), "main", SQLITE_FCNTL_VFSNAME, &name);
    const std::string text = name != nullptr ? name : "";
    sqlite3_free(name);
    return text;
}

// A shim that somebody else put over ours: it adds its name and passes everything on.
struct AboveFile {
    sqlite3_file base;
    sqlite3_file* below() { return reinterpret_cast<sqlite3_file*>(this + 1); }
    static AboveFile* from(sqlite3_file* file) { return reinterpret_cast<AboveFile*>(file); }
};
sqlite3_vfs above = {};
sqlite3_vfs* ours = nullptr;

const sqlite3_io_methods kAboveMethods = [] {
    sqlite3_io_methods methods = pass_methods<AboveFile>(3);
    methods.xFileControl = [](sqlite3_file* file, int op, void* arg) {
        const int rc = pass_below<AboveFile, &sqlite3_io_methods::xFileControl>(file, op, arg);
        if (op == SQLITE_FCNTL_VFSNAME && rc == SQLITE_OK) {
            auto** name = static_cast<char**>(arg);
            *name = sqlite3_mprintf("above/%z", *name);
        }
        return rc;
    };
    return methods;
}();

void register_above() {
    host_registry();
    ours = sqlite3_vfs_find("litestream");
    above = *ours;
    above.zName = "above";
    above.szOsFile = ours->szOsFile + static_cast<int>(sizeof(AboveFile));
    above.xOpen = [](sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
        auto* self = reinterpret_cast<AboveFile*>(file);
        const int rc = ours->xOpen(ours, name, self->below(), flags, out_flags);
        file->pMethods = self->below()->pMethods != nullptr ? &kAboveMethods : nullptr;
        return rc;
    };
    sqlite3_vfs_register(&above, 0);
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "names stack") {
    Connection connection(path);
    connection.exec("CREATE TABLE t(a)");

    CHECK(vfs_name(connection) == "litestream/unix");
}

TEST_CASE_FIXTURE(Fixture, "under another shim the database is found and captured") {
    register_above();
    {
        Connection connection(path, "above");
        connection.exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a)");

        const auto database = database_of(connection.get(), "main");

        CHECK(vfs_name(connection) == "above/litestream/unix");
        REQUIRE(database);
        CHECK(database->wait_captured(10'000));
        CHECK(database->store().end().offset > 0);
    }
    sqlite3_vfs_unregister(&above);
}

TEST_CASE_FIXTURE(Fixture, "file controls answer as those of the VFS below") {
    Connection through(path);
    Connection plain(directory.path("plain.db"), "unix");
    for (Connection* connection : {&through, &plain})
        connection->exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a)");

    for (const int op : {SQLITE_FCNTL_PERSIST_WAL, SQLITE_FCNTL_POWERSAFE_OVERWRITE, SQLITE_FCNTL_HAS_MOVED,
                         SQLITE_FCNTL_CHUNK_SIZE, SQLITE_FCNTL_LOCK_TIMEOUT, 123456}) {
        CAPTURE(op);
        int ours_value = -1;
        int plain_value = -1;
        const int ours_code = sqlite3_file_control(through.get(), "main", op, &ours_value);
        CHECK(ours_code == sqlite3_file_control(plain.get(), "main", op, &plain_value));
        CHECK(ours_value == plain_value);
    }
}

TEST_CASE_FIXTURE(Fixture, "a file can do what the file below can do, and no more") {
    CHECK(shim_file_methods(1)->iVersion == 1);
    CHECK((shim_file_methods(1)->xShmMap == nullptr));
    CHECK((shim_file_methods(2)->xShmMap != nullptr));
    CHECK((shim_file_methods(2)->xFetch == nullptr));
    CHECK((shim_file_methods(3)->xFetch != nullptr));
    CHECK(shim_file_methods(9)->iVersion == 3);
}

TEST_CASE_FIXTURE(Fixture, "temporary, in-memory, read-only and rollback databases pass through") {
    Connection temporary("");
    temporary.exec("CREATE TABLE t(a); INSERT INTO t VALUES(randomblob(3000000)); CREATE TEMP TABLE u(a)");
    Connection memory(":memory:");
    memory.exec("CREATE TABLE t(a)");
    Connection(path).exec("PRAGMA journal_mode=TRUNCATE; CREATE TABLE t(a); INSERT INTO t VALUES(1)");
    Connection read_only(path, "litestream", SQLITE_OPEN_READONLY);
    Connection immutable("file:" + path + "?immutable=1");

    CHECK(read_only.text("SELECT a FROM t") == "1");
    CHECK(immutable.text("SELECT a FROM t") == "1");
    for (Connection* connection : {&temporary, &memory, &read_only, &immutable}) {
        CHECK_FALSE(database_of(connection->get(), "main"));
    }
    CHECK_FALSE(file_exists(path + "-litestream"));
}

TEST_CASE_FIXTURE(Fixture, "a file that cannot be opened is SQLite's own error") {
    CHECK_THROWS_WITH_AS(Connection(directory.path("no/such/app.db")),
                         doctest::Contains("unable to open database file"), std::runtime_error);
}

TEST_CASE_FIXTURE(Fixture, "the page size is known once the WAL is open, before there are frames") {
    for (const std::uint32_t size : {512u, 4096u, 65536u}) {
        const std::string name = directory.path("sized" + std::to_string(size));
        Connection connection(name);
        connection.exec("PRAGMA page_size=" + std::to_string(size) + "; CREATE TABLE t(a)");
        const auto database = database_of(connection.get(), "main");
        REQUIRE(database);
        CHECK(database->page_size() == 0);

        connection.exec("PRAGMA journal_mode=WAL; SELECT * FROM t");

        CHECK(database->page_size() == size);
    }
}
