// A live replica seen through our VFS: read-only to the application until it is promoted.
#include "tests/vfs/followed.h"

using namespace litestream;
using namespace litestream::test;

namespace {

std::string message_of(Connection& connection, const std::string& sql) {
    connection.try_exec(sql);
    return sqlite3_errmsg(connection.get());
}

}  // namespace

TEST_CASE_FIXTURE(Followed, "a replica answers writes with SQLite's own read-only error") {
    make_source();
    follow();

    for (const char* sql : {"INSERT INTO t(b) VALUES(1)", "CREATE TABLE x(a)", "VACUUM", "BEGIN IMMEDIATE",
                            "PRAGMA user_version=3"}) {
        CAPTURE(std::string(sql));
        CHECK(message_of(*host, sql) == "attempt to write a readonly database");
    }
    for (const char* sql : {"PRAGMA journal_mode=DELETE", "PRAGMA locking_mode=EXCLUSIVE"}) {
        CAPTURE(std::string(sql));
        CHECK(message_of(*host, sql).find("attempt to write a readonly database: ") == 0);
    }
    CHECK(host->text("SELECT count(*) FROM t") == "1");
    CHECK(host->text("PRAGMA wal_checkpoint(TRUNCATE)") == "0");
    write(1);
    require(apply());
    check_equal();
}

TEST_CASE_FIXTURE(Followed, "a file that is still empty is read-only too") {
    open_host();

    CHECK(message_of(*host, "CREATE TABLE x(a)") == "attempt to write a readonly database");
}

TEST_CASE_FIXTURE(Followed, "a replica is found as one when it is opened again") {
    make_source();
    follow();
    applier.reset();
    host.reset();

    host = std::make_unique<Connection>(path);

    CHECK(database().is_replica());
    CHECK(!database().wants_capture());
    CHECK(message_of(*host, "INSERT INTO t(b) VALUES(1)") == "attempt to write a readonly database");
}

TEST_CASE_FIXTURE(Followed, "promoted: the same connection writes, in a new generation") {
    make_source();
    follow();
    write(3);
    require(apply());
    applier.reset();

    REQUIRE(database().end_replica("promoted from " + database().applied().to_string()));
    database().want_capture();
    host->exec("INSERT INTO t(b) VALUES('mine')");

    REQUIRE(database().wait_captured(30'000));
    CHECK(database().store().generation() != kGeneration);
    CHECK(database().store().generation_reason() ==
          "promoted from f0000000000000aa/0000000000000000:" + std::string("0000000000003068"));
    CHECK(host->text("SELECT count(*) FROM t") == "5");
    CHECK(!database().is_replica());
}

TEST_CASE_FIXTURE(Followed, "waiting for a position ends when it is applied") {
    make_source();
    follow();
    CHECK(!database().wait_applied({kGeneration, 0, 4152}, 0));
    write(1);
    require(apply());

    CHECK(database().wait_applied({kGeneration, 0, 4152}, 1000));
    CHECK(database().applied() == Position{kGeneration, 0, 4152});
    CHECK(!database().wait_applied({"00000000000000bb", 0, 4152}, 0));
}
