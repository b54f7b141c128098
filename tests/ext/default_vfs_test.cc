// litestream_set_default_vfs: whose databases are captured, and whose stay untouched.
#include <doctest/doctest.h>

#include <filesystem>

#include "shared/base/file.h"
#include "tests/ext/ext_host.h"

namespace litestream::test {
namespace {

// Ours is the default VFS for as long as the test lives.
struct Fixture {
    TempDirectory directory;
    std::string path = directory.path("app.db");
    std::string url = "file://" + directory.path("b");
    Session switcher{":memory:"};

    Fixture() { REQUIRE(set_default(1) == "0"); }
    ~Fixture() { set_default(0); }

    std::string set_default(int on) {
        return switcher("SELECT litestream_set_default_vfs(" + std::to_string(on) + ")");
    }
    std::string by_default() const { return "file:" + path; }
    static std::string status(Session& sql, const std::string& key) {
        return sql("SELECT json_extract(litestream_status(),'$." + key + "')");
    }
    std::string restored(Session& sql) const {
        const std::string out = directory.path("restored.db");
        const std::string position =
            sql("SELECT litestream_restore(" + sql_text(url) + "," + sql_text(out) + ")");
        if (contains(position, "error")) return position;
        return Session("file:" + out)("SELECT group_concat(a) FROM t");
    }
};

TEST_CASE_FIXTURE(Fixture, "set_default_vfs answers what was before") {
    CHECK(set_default(1) == "1");
    CHECK(set_default(0) == "1");
    CHECK(set_default(0) == "0");
    CHECK(switcher("SELECT litestream_set_default_vfs(NULL)") ==
          "error: litestream_set_default_vfs: on must not be NULL");
    CHECK(switcher("SELECT litestream_set_default_vfs('yes')") ==
          "error: litestream_set_default_vfs: on must be 0 or 1");
}

TEST_CASE_FIXTURE(Fixture, "a database that is ours by default only is left alone") {
    {
        Session host(by_default());
        REQUIRE(host("PRAGMA journal_mode=WAL") == "wal");
        host("CREATE TABLE t(a)");
        host("INSERT INTO t VALUES(1)");
        host("PRAGMA wal_checkpoint(TRUNCATE)");
        host("INSERT INTO t VALUES(2)");

        CHECK(status(host, "role") == "none");
        CHECK(status(host, "pending_bytes") == "0");
        CHECK(contains(status(host, "why"), "main was opened through the default VFS, and nobody asked"));
        CHECK(host("SELECT litestream_position()") == "NULL");
        CHECK(contains(host("SELECT litestream_sync()"), "nobody asked for its capture"));
    }

    CHECK_FALSE(file_exists(path + "-litestream"));
    CHECK_FALSE(file_exists(path + "-wal"));
}

TEST_CASE_FIXTURE(Fixture, "replicate captures a database whose WAL is open already") {
    Session sql(by_default());
    Session other(by_default());
    REQUIRE(sql("PRAGMA journal_mode=WAL") == "wal");
    sql("CREATE TABLE t(a)");
    other("INSERT INTO t VALUES('before')");

    REQUIRE(sql("SELECT litestream_replicate(" + sql_text(url) + ")") == "file");
    other("INSERT INTO t VALUES('after')");
    REQUIRE(sql("SELECT litestream_sync()").size() == 50);

    CHECK(status(sql, "role") == "primary");
    CHECK(status(other, "role") == "primary");
    CHECK(restored(sql) == "before,after");
}

TEST_CASE_FIXTURE(Fixture, "a replicate that is refused captures nothing") {
    write_text(directory.path("b"), "in the way");
    Session sql(by_default());
    REQUIRE(sql("PRAGMA journal_mode=WAL") == "wal");
    sql("CREATE TABLE t(a)");

    REQUIRE(contains(sql("SELECT litestream_replicate(" + sql_text(url) + ")"), "error: "));

    CHECK(status(sql, "role") == "none");
    CHECK_FALSE(file_exists(path + "-litestream"));
}

TEST_CASE_FIXTURE(Fixture, "a database with a meta directory goes on being captured, by default too") {
    {
        Session sql(by_default());
        sql("CREATE TABLE t(a)");
        REQUIRE(sql("SELECT litestream_replicate(" + sql_text(url) + ")") ==
                "file (journal_mode is now wal)");
    }
    Session sql(by_default());
    sql("INSERT INTO t VALUES('later')");

    REQUIRE(sql("SELECT litestream_sync()").size() == 50);

    CHECK(restored(sql) == "later");
    CHECK(status(sql, "generation_reason") == "no generation exists");
}

TEST_CASE_FIXTURE(Fixture, "a name in the URI counts while ours is the default") {
    Session sql(by_default() + "?vfs=litestream");
    REQUIRE(sql("PRAGMA journal_mode=WAL") == "wal");
    sql("CREATE TABLE t(a)");

    CHECK(sql("SELECT litestream_sync()").size() == 50);
    CHECK(status(sql, "role") == "primary");
}

TEST_CASE_FIXTURE(Fixture, "opening by name captures what another connection opened by default") {
    Session host(by_default());
    REQUIRE(host("PRAGMA journal_mode=WAL") == "wal");
    host("CREATE TABLE t(a)");

    Session sql(by_default() + "?vfs=litestream");
    host("INSERT INTO t VALUES(1)");

    CHECK(sql("SELECT litestream_sync()") == host("SELECT litestream_position()"));
    CHECK(status(host, "role") == "primary");
}

TEST_CASE_FIXTURE(Fixture, "a place that is given back leaves later databases to plain SQLite") {
    set_default(0);

    Session sql(by_default());

    CHECK(contains(status(sql, "why"), "not opened through the litestream VFS"));
}

TEST_CASE_FIXTURE(Fixture, "a restored file is checked below us, whoever is the default") {
    Session sql(":memory:");
    url = "file://" TEST_DATA "/golden/litestream-0.3.13/replica";
    const std::string out = directory.path("golden.db");

    const std::string position =
        sql("SELECT litestream_restore(" + sql_text(url) + "," + sql_text(out) + ")");

    CHECK(contains(position, "/0000"));
    CHECK_FALSE(file_exists(out + "-litestream"));
}

}  // namespace
}  // namespace litestream::test
