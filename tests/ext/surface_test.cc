// What the functions and tables give back when all is well.
#include <doctest/doctest.h>

#include "shared/base/clock.h"
#include "shared/base/file.h"
#include "tests/ext/ext_host.h"

namespace litestream::test {
namespace {

const std::string kKeys =
    "version,database,role,why,journal_mode,page_size,generation,generation_reason,position,pending_bytes,"
    "local_bytes,replicas,upstream,server,streams,synchronous";

struct Fixture {
    TempDirectory directory;
    Session sql{directory.path("app.db")};
    std::string url = "file://" + directory.path("b");

    std::string status(const std::string& key) {
        return sql("SELECT json_extract(litestream_status(),'$." + key + "')");
    }
    std::string keys(const std::string& schema) {
        return sql("SELECT group_concat(key) FROM json_each(litestream_status(" + sql_text(schema) + "))");
    }
    void replicate() {
        sql("CREATE TABLE t(a)");
        REQUIRE(sql("SELECT litestream_replicate(" + sql_text(url) + ")") ==
                "file (journal_mode is now wal)");
        sql("INSERT INTO t VALUES(1)");
        REQUIRE(sql("SELECT litestream_sync()").size() == 50);
    }
    std::string restore(const std::string& name, const std::string& options = "{}") {
        return sql("SELECT litestream_restore(" + sql_text(url) + "," + sql_text(directory.path(name)) + "," +
                   sql_text(options) + ")");
    }
};

TEST_CASE_FIXTURE(Fixture, "the version is the project's") {
    CHECK(sql("SELECT litestream_version()") == "0.1.0");
}

TEST_CASE_FIXTURE(Fixture, "status has every key for every kind of database") {
    sql("ATTACH ':memory:' AS memory");

    CHECK(keys("main") == kKeys);
    CHECK(keys("memory") == kKeys);
    CHECK(keys("temp") == kKeys);
    replicate();
    CHECK(keys("main") == kKeys);
}

TEST_CASE_FIXTURE(Fixture, "status is indented JSON") {
    CHECK(sql("SELECT litestream_status()").starts_with("{\n  \"version\": \"0.1.0\",\n  \"database\": "));
}

TEST_CASE_FIXTURE(Fixture, "a rollback-journal database is not captured, and status says so") {
    CHECK(status("role") == "none");
    CHECK(status("journal_mode") == "delete");
    CHECK(contains(status("why"), "main has journal_mode delete: only a WAL database is captured"));
    CHECK(status("generation") == "NULL");
    CHECK(status("synchronous") == "OFF");
}

TEST_CASE_FIXTURE(Fixture, "a database in memory is told how to open one that is replicated") {
    Session memory(":memory:");

    CHECK(memory("SELECT json_extract(litestream_status(),'$.why')") ==
          "main is :memory:, not opened through the litestream VFS; use file:PATH?vfs=litestream");
    CHECK(memory("SELECT litestream_position()") == "NULL");
}

TEST_CASE_FIXTURE(Fixture, "a WAL database is captured from its open, and syncs locally without replicas") {
    sql("PRAGMA journal_mode=WAL");
    sql("CREATE TABLE t(a)");

    const std::string position = sql("SELECT litestream_sync()");

    CHECK(position.size() == 50);
    CHECK(status("role") == "primary");
    CHECK(status("why") == "NULL");
    CHECK(status("position") == position);
    CHECK(status("pending_bytes") == "0");
}

TEST_CASE_FIXTURE(Fixture, "status and tables show a replica that has everything") {
    replicate();

    CHECK(status("replicas[0].name") == "file");
    CHECK(status("replicas[0].url") == url);
    CHECK(status("replicas[0].position") == status("position"));
    // A first snapshot that came before the first commit was captured is tried again.
    const std::int64_t deadline = steady_clock_ms() + 30'000;
    while (status("replicas[0].last_error") != "NULL" && steady_clock_ms() < deadline) {
        sql("SELECT litestream_sync()");
    }
    CHECK(status("replicas[0].last_error") == "NULL");
    CHECK(status("pending_bytes") == "0");
    CHECK(sql("SELECT path||' '||role||' '||replicas FROM litestream_databases") ==
          directory.path("app.db") + " primary 1");
    CHECK(sql("SELECT position FROM litestream_databases") == status("position"));
    CHECK(sql("SELECT position FROM litestream_replicas") == status("position"));
    CHECK(sql("SELECT database||' '||name||' '||pending_bytes FROM litestream_replicas") ==
          directory.path("app.db") + " file 0");
}

TEST_CASE_FIXTURE(Fixture, "the tables of a replica list what it holds") {
    replicate();
    const std::string generation = status("generation");
    const std::string argument = "(" + sql_text(url) + ")";

    CHECK(sql("SELECT generation FROM litestream_generations" + argument) == generation);
    CHECK(sql("SELECT started_at<=ended_at AND lag_seconds>=0 FROM litestream_generations" + argument) ==
          "1");
    CHECK(sql("SELECT generation||' '||idx FROM litestream_snapshots" + argument) == generation + " 0");
    CHECK(sql("SELECT offset>=0 AND size_bytes>0 FROM litestream_snapshots" + argument) == "1");
    CHECK(sql("SELECT generation||' '||idx||' '||offset FROM litestream_wal" + argument) ==
          generation + " 0 0");
    CHECK(sql("SELECT created_at GLOB '2*-*-*T*:*:*.*Z' FROM litestream_wal" + argument) == "1");
    CHECK(sql("SELECT count(*) FROM litestream_wal WHERE url=" + sql_text(url)) ==
          sql("SELECT count(*) FROM litestream_wal" + argument));
}

TEST_CASE_FIXTURE(Fixture, "a table of a replica joins one that names the URLs") {
    replicate();

    const std::string joined =
        sql("SELECT r.name FROM litestream_replicas r JOIN litestream_snapshots s ON s.url = r.url");

    CHECK(joined == "file");
}

TEST_CASE_FIXTURE(Fixture,
                  "wait says no for a position of another generation and for one that does not come") {
    replicate();
    const std::string generation = status("generation");

    CHECK(sql("SELECT litestream_wait('0123456789abcdef/0000000000000000:0000000000000000',10)") == "0");
    CHECK(sql("SELECT litestream_wait('" + generation + "/0000000000000007:0000000000000000',0)") == "0");
    CHECK(sql("SELECT litestream_wait('" + generation + "/0000000000000000:0000000000000000',0)") == "1");
}

TEST_CASE_FIXTURE(Fixture, "a snapshot is taken of one replica by name, of all without") {
    replicate();

    CHECK(sql("SELECT litestream_snapshot()").size() == 50);
    CHECK(sql("SELECT litestream_snapshot('file')").size() == 50);
    CHECK(sql("SELECT litestream_snapshot(" + sql_text(url) + ",'main')").size() == 50);
    CHECK(sql("SELECT litestream_snapshot('nope')") ==
          "error: litestream_snapshot: no such replica: nope; there are file");
}

TEST_CASE_FIXTURE(Fixture, "a restore brings back an earlier position exactly") {
    replicate();
    const std::string then = sql("SELECT litestream_position()");
    const std::string dump_then = sql("SELECT group_concat(a) FROM t");
    sql("INSERT INTO t VALUES(2)");
    sql("SELECT litestream_sync()");

    const std::string position = restore("then.db", "{\"position\":\"" + then + "\"}");
    const std::string latest = restore("now.db");

    CHECK(position == then);
    CHECK(latest == sql("SELECT litestream_position()"));
    sql("ATTACH " + sql_text("file:" + directory.path("then.db") + "?vfs=unix") + " AS before");
    CHECK(sql("SELECT group_concat(a) FROM before.t") == dump_then);
    CHECK(sql("PRAGMA before.integrity_check") == "ok");
}

TEST_CASE_FIXTURE(Fixture, "a position that the replica does not have is an error, and leaves no file") {
    replicate();
    const std::string generation = status("generation");

    const std::string result =
        restore("out.db", "{\"position\":\"" + generation + "/0000000000000005:0000000000000020\"}");

    CHECK(contains(result, "error: restore " + url + ": "));
    CHECK_FALSE(file_exists(directory.path("out.db")));
}

TEST_CASE_FIXTURE(Fixture,
                  "a replica whose format cannot prove that nothing is missing is restored with a note") {
    url = "file://" TEST_DATA "/golden/litestream-0.3.13/replica";

    const std::string position = restore("golden.db");

    CHECK(contains(position, " (generation "));
    CHECK(position.ends_with(")"));
    CHECK(sql("SELECT offset IS NULL FROM litestream_snapshots(" + sql_text(url) + ")") == "1");
}

TEST_CASE_FIXTURE(Fixture, "functions inside an open transaction speak of what was committed before it") {
    replicate();
    const std::string before = sql("SELECT litestream_position()");
    sql("BEGIN IMMEDIATE");
    sql("INSERT INTO t VALUES(3)");

    CHECK(sql("SELECT litestream_position()") == before);
    CHECK(sql("SELECT litestream_sync()") == before);
    CHECK(status("position") == before);
    CHECK(sql("COMMIT") == "NULL");
    CHECK(sql("SELECT litestream_sync()") != before);
}

}  // namespace
}  // namespace litestream::test
