// Every bad argument, with the message that it gets.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include "shared/base/directory.h"
#include "shared/base/file.h"
#include "tests/ext/ext_host.h"

namespace litestream::test {
namespace {

const std::string kAnyPosition = "0123456789abcdef/0000000000000002:0000000000001038";

struct Fixture {
    TempDirectory directory;
    Session sql{directory.path("app.db")};
    std::string url = "file://" + directory.path("b");

    std::string replicate(const std::string& arguments) {
        return sql("SELECT litestream_replicate(" + arguments + ")");
    }
    std::string restore(const std::string& arguments) {
        return sql("SELECT litestream_restore(" + arguments + ")");
    }
    // To a path that does not exist.
    std::string restore_with(const std::string& options) {
        return restore(sql_text(url) + "," + sql_text(directory.path("out.db")) + "," + sql_text(options));
    }
};

TEST_CASE_FIXTURE(Fixture, "a wrong number of arguments gets SQLite's own message") {
    CHECK(sql("SELECT litestream_replicate()") ==
          "error: wrong number of arguments to function litestream_replicate()");
    CHECK(sql("SELECT litestream_version(1)") ==
          "error: wrong number of arguments to function litestream_version()");
    CHECK(sql("SELECT litestream_restore('file:///b')") ==
          "error: wrong number of arguments to function litestream_restore()");
}

TEST_CASE_FIXTURE(Fixture, "a required NULL is named") {
    CHECK(replicate("NULL") == "error: litestream_replicate: url must not be NULL");
    CHECK(sql.code() == SQLITE_ERROR);
    CHECK(sql("SELECT litestream_unreplicate(NULL)") ==
          "error: litestream_unreplicate: name_or_url must not be NULL");
    CHECK(sql("SELECT litestream_wait(NULL)") == "error: litestream_wait: position must not be NULL");
    CHECK(restore("NULL,'/x'") == "error: litestream_restore: url must not be NULL");
    CHECK(restore("'file:///b',NULL") == "error: litestream_restore: path must not be NULL");
}

TEST_CASE_FIXTURE(Fixture, "an argument of the wrong type is named") {
    CHECK(replicate("7") == "error: litestream_replicate: url must be text");
    CHECK(replicate("'file:///b',7") == "error: litestream_replicate: options must be text");
    CHECK(sql("SELECT litestream_status(x'00')") == "error: litestream_status: schema must be text");
    CHECK(sql("SELECT litestream_sync(x'00')") ==
          "error: litestream_sync: timeout: must be a duration, such as 10 or '10s'");
    CHECK(contains(sql("SELECT litestream_sync('soon')"),
                   "litestream_sync: timeout: cannot parse the duration \"soon\""));
    CHECK(sql("SELECT litestream_run(-1)") ==
          "error: litestream_run: seconds: must be 0 to ten years of seconds");
    CHECK(restore("'file:///b','/x'||char(0)||'y'") == "error: litestream_restore: path must not hold a NUL");
}

TEST_CASE_FIXTURE(Fixture, "a schema that does not exist is named, with those that do") {
    sql("ATTACH ':memory:' AS other");

    CHECK(sql("SELECT litestream_status('nope')") ==
          "error: litestream_status: no such schema: nope; there are main, other");
    CHECK(replicate("'file:///b',NULL,'nope'") ==
          "error: litestream_replicate: no such schema: nope; there are main, other");
    CHECK(sql("SELECT litestream_sync(1,'nope')") ==
          "error: litestream_sync: no such schema: nope; there are main, other");
    CHECK(sql("SELECT litestream_position('nope')") ==
          "error: litestream_position: no such schema: nope; there are main, other");
}

TEST_CASE_FIXTURE(Fixture, "a database that is not ours is refused with the way out") {
    const std::string path = directory.path("plain.db");
    sql("ATTACH ':memory:' AS memory");
    sql("ATTACH " + sql_text("file:" + path + "?vfs=unix") + " AS plain");
    const std::string memory_message =
        ", not opened through the litestream VFS; use file:PATH?vfs=litestream";

    CHECK(replicate(sql_text(url) + ",NULL,'memory'") ==
          "error: litestream_replicate: memory is :memory:" + memory_message);
    CHECK(sql("SELECT litestream_sync(NULL,'temp')") ==
          "error: litestream_sync: temp is temporary" + memory_message);
    CHECK(replicate(sql_text(url) + ",NULL,'plain'") ==
          "error: litestream_replicate: plain is " + path +
              ", not opened through the litestream VFS; use file:" + path + "?vfs=litestream");
    CHECK_FALSE(file_exists(directory.path("b")));
}

TEST_CASE_FIXTURE(Fixture, "a URL that makes no sense is refused") {
    CHECK(
        contains(replicate("'ftp://host/x'"), "litestream_replicate: ftp://host/x: unknown scheme \"ftp\""));
    CHECK(contains(replicate("'backup'"),
                   "litestream_replicate: invalid URL \"backup\": expected SCHEME://HOST/PATH"));
    CHECK(contains(replicate("'file://backup'"),
                   "a file replica is file:///ABSOLUTE/PATH, with three slashes"));
    CHECK(contains(replicate("'file:///b?retantion=1'"), "unknown key \"retantion\""));
    CHECK(contains(replicate("'s3://user:secret@bucket/x'"), "it holds user information"));
    CHECK_FALSE(contains(replicate("'s3://user:secret@bucket/x'"), "secret"));
}

TEST_CASE_FIXTURE(Fixture,
                  "a replica's directory that cannot be written is refused, and nothing is remembered") {
    write_text(directory.path("file"), "");

    const std::string message = replicate(sql_text("file://" + directory.path("file/b")));
    const int code = sql.code();

    CHECK(contains(message, "litestream_replicate: the replica's directory cannot be created: "));
    CHECK(contains(message, "Not a directory"));
    CHECK(code == SQLITE_CANTOPEN);
    CHECK(sql("PRAGMA journal_mode") == "delete");
    CHECK_FALSE(file_exists(directory.path("app.db-litestream/replicas.json")));
    CHECK(sql("SELECT count(*) FROM litestream_replicas") == "0");
}

TEST_CASE_FIXTURE(Fixture, "a directory that was created for nothing is removed again") {
    Session other(directory.path("app.db"));
    other("CREATE TABLE t(a)");
    other("BEGIN IMMEDIATE");
    sqlite3_busy_timeout(sql.get(), 0);

    const std::string message = replicate(sql_text("file://" + directory.path("x/y/z")));

    CHECK(message == "error: litestream_replicate: cannot change journal_mode to wal: database is locked");
    CHECK(sql.code() == SQLITE_BUSY);
    CHECK_FALSE(file_exists(directory.path("x")));
    CHECK_FALSE(file_exists(directory.path("app.db-litestream/replicas.json")));
}

TEST_CASE_FIXTURE(Fixture, "the database's own meta directory is no place for a replica") {
    const std::string message = replicate(sql_text("file://" + directory.path("app.db-litestream/b")));

    CHECK(contains(message, "is the database's own meta directory; choose another"));
}

TEST_CASE_FIXTURE(Fixture, "what changes replicas refuses to run inside a transaction") {
    const std::string message = "cannot run inside a transaction; COMMIT or ROLLBACK first";
    sql("BEGIN");

    CHECK(replicate(sql_text(url)) == "error: litestream_replicate: " + message);
    CHECK(sql("SELECT litestream_unreplicate('file')") == "error: litestream_unreplicate: " + message);
    CHECK(sql("SELECT litestream_snapshot()") == "error: litestream_snapshot: " + message);
    CHECK(contains(sql("SELECT litestream_status()"), "\"role\": \"none\""));
    CHECK(sql("ROLLBACK") == "NULL");
}

TEST_CASE_FIXTURE(Fixture, "waiting makes no sense without capture or without replicas") {
    CHECK(contains(sql("SELECT litestream_sync()"),
                   "litestream_sync: main has journal_mode delete: only a WAL database is captured"));
    CHECK(sql("SELECT litestream_position()") == "NULL");
    CHECK(sql("SELECT litestream_snapshot()") ==
          "error: litestream_snapshot: there are no replicas; SELECT litestream_replicate(url) adds one");
    CHECK(sql("SELECT litestream_wait('" + kAnyPosition + "')") ==
          "error: litestream_wait: there are no replicas; SELECT litestream_replicate(url) adds one");
    CHECK(contains(sql("SELECT litestream_wait('x')"), "litestream_wait: invalid position \"x\""));
    CHECK(sql("SELECT litestream_unreplicate('nope')") == "0");
}

TEST_CASE_FIXTURE(Fixture, "a database in exclusive locking mode can be replicated") {
    sql("PRAGMA locking_mode=EXCLUSIVE");
    sql("PRAGMA journal_mode=WAL");
    sql("CREATE TABLE t(a)");

    const std::string message = replicate(sql_text(url));

    CHECK(message == "file");
    CHECK(sql("SELECT litestream_position()").size() == 50);
}

TEST_CASE_FIXTURE(Fixture,
                  "restore refuses a path that is taken or cannot be, and a replica with nothing in it") {
    write_text(directory.path("taken.db"), "mine");
    const std::string taken = sql_text(url) + "," + sql_text(directory.path("taken.db"));
    const std::string lost = sql_text(url) + "," + sql_text(directory.path("no/out.db"));

    CHECK(contains(restore(taken), "litestream_restore: " + directory.path("taken.db") +
                                       ": exists already and is not replaced; choose another path"));
    CHECK(sql.code() == SQLITE_CANTOPEN);
    CHECK(read_text(directory.path("taken.db")) == "mine");
    CHECK(restore(taken + ",'{\"if_db_not_exists\":true}'") == "NULL");
    CHECK(contains(restore(lost), "there is no directory " + directory.path("no") + "; create it first"));
    CHECK(sql.code() == SQLITE_CANTOPEN);
    CHECK(contains(restore_with("{}"), "error: restore " + url + ": "));
    CHECK(sql.code() == SQLITE_ERROR);
    CHECK(restore_with("{\"if_replica_exists\":true}") == "NULL");
    CHECK(restore("'file:///b',''") == "error: litestream_restore: path must not be empty");
}

TEST_CASE_FIXTURE(Fixture, "restore names a bad option before it looks at anything") {
    CHECK(contains(restore_with("{\"when\":1}"),
                   "litestream_restore: unknown option \"when\"; known are timestamp"));
    CHECK(
        contains(restore_with("{\"timestamp\":\"x\"}"), "option \"timestamp\": cannot parse the time \"x\""));
    CHECK(contains(restore_with("{\"position\":\"x\"}"), "option \"position\": invalid position \"x\""));
    CHECK(
        contains(restore("'ftp://x/y','/out.db'"), "litestream_restore: ftp://x/y: unknown scheme \"ftp\""));
}

TEST_CASE_FIXTURE(Fixture, "a table of a replica needs its URL") {
    CHECK(sql("SELECT * FROM litestream_wal") ==
          "error: litestream_wal: needs the URL of a replica: litestream_wal('file:///PATH')");
    CHECK(sql("SELECT * FROM litestream_snapshots(NULL)") ==
          "error: litestream_snapshots: needs the URL of a replica: litestream_snapshots('file:///PATH')");
    CHECK(contains(sql("SELECT * FROM litestream_generations('x')"),
                   "litestream_generations: invalid URL \"x\""));
    CHECK(sql("SELECT count(*) FROM litestream_generations(" + sql_text(url) + ")") == "0");
}

TEST_CASE_FIXTURE(Fixture, "views and triggers reach no function and no table of ours") {
    sql("CREATE TABLE t(a)");
    sql("CREATE VIEW version AS SELECT litestream_version() AS v");
    sql("CREATE VIEW restore AS SELECT litestream_restore('file:///b','/tmp/x') AS v");
    sql("CREATE VIEW databases AS SELECT path FROM litestream_databases");
    sql("CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT litestream_unreplicate('file'); END");

    CHECK(contains(sql("SELECT v FROM version"), "unsafe use of litestream_version()"));
    CHECK(contains(sql("SELECT v FROM restore"), "unsafe use of litestream_restore()"));
    CHECK(
        contains(sql("SELECT path FROM databases"), "unsafe use of virtual table \"litestream_databases\""));
    CHECK(contains(sql("INSERT INTO t VALUES(1)"), "unsafe use of litestream_unreplicate()"));
    CHECK(sql("SELECT count(*) FROM t") == "0");
}

TEST_CASE_FIXTURE(Fixture, "our tables cannot be created, written or dropped") {
    CHECK(contains(sql("CREATE VIRTUAL TABLE x USING litestream_databases"),
                   "no such module: litestream_databases"));
    CHECK(contains(sql("DELETE FROM litestream_databases"), "may not be modified"));
    CHECK(contains(sql("DROP TABLE litestream_databases"), "may not be dropped"));
}

}  // namespace
}  // namespace litestream::test
