// Whose a replica's directory is, and the events that replicas leave behind.
#include <doctest/doctest.h>

#include <filesystem>

#include "shared/base/file.h"
#include "tests/ext/ext_host.h"

namespace litestream::test {
namespace {

namespace fs = std::filesystem;

struct Fixture {
    TempDirectory directory;
    std::string path = directory.path("app.db");
    std::string other_path = directory.path("other.db");
    std::string url = "file://" + directory.path("b");

    std::string replicate(Session& sql, const std::string& options = "{}") const {
        return sql("SELECT litestream_replicate(" + sql_text(url) + "," + sql_text(options) + ")");
    }
    // The first database's replica is there; nobody has it open.
    void set_up_first() const {
        Session sql(path);
        REQUIRE(replicate(sql) == "file (journal_mode is now wal)");
        sql("CREATE TABLE t(a)");
        REQUIRE(sql("SELECT litestream_sync()").size() == 50);
    }
    static std::string events(Session& sql, const std::string& database, const std::string& kind) {
        return sql("SELECT group_concat(detail) FROM litestream_events WHERE database=" + sql_text(database) +
                   " AND kind=" + sql_text(kind));
    }
};

TEST_CASE_FIXTURE(Fixture, "another database's replica is refused at once, and nothing is remembered") {
    set_up_first();
    Session sql(other_path);

    const std::string message = replicate(sql);

    CHECK(contains(message, "error: litestream_replicate: " + url + ": belongs to the database " + path));
    CHECK(sql("PRAGMA journal_mode") == "delete");
    CHECK_FALSE(file_exists(other_path + "-litestream/replicas.json"));
}

TEST_CASE_FIXTURE(Fixture, "with adopt it is taken over, and fences the one whose it was") {
    set_up_first();
    Session sql(other_path);
    REQUIRE(replicate(sql, "{\"adopt\":true}") == "file (journal_mode is now wal)");
    sql("CREATE TABLE u(a)");
    REQUIRE(sql("SELECT litestream_sync()").size() == 50);

    Session first(path);
    first("INSERT INTO t VALUES(1)");
    const std::string late = first("SELECT litestream_sync(5)");

    CHECK(contains(late, "belongs to the database " + other_path));
    CHECK(first("SELECT json_extract(litestream_status(),'$.replicas[0].state')") == "fenced");
    CHECK(contains(events(first, path, "replica_fenced"), "belongs to the database " + other_path));
    CHECK_FALSE(contains(read_text(other_path + "-litestream/replicas.json"), "adopt"));
}

TEST_CASE_FIXTURE(Fixture, "a fenced replica is taken back by the same call with adopt") {
    set_up_first();
    {
        Session sql(other_path);
        REQUIRE(replicate(sql, "{\"adopt\":true}") == "file (journal_mode is now wal)");
        sql("CREATE TABLE u(a)");
        sql("SELECT litestream_sync()");
    }
    Session first(path);
    first("INSERT INTO t VALUES(1)");
    REQUIRE(contains(first("SELECT litestream_sync(5)"), "error: "));

    CHECK(replicate(first, "{\"adopt\":true}") == "file");

    CHECK(first("SELECT litestream_sync()").size() == 50);
    CHECK(first("SELECT json_extract(litestream_status(),'$.replicas[0].state')") == "ok");
}

TEST_CASE_FIXTURE(Fixture, "a replica that is forgotten and set up again is still ours") {
    set_up_first();
    {
        Session sql(path);
        REQUIRE(sql("SELECT litestream_unreplicate('file')") == "1");
    }

    Session sql(path);

    CHECK(replicate(sql) == "file");
    CHECK(sql("SELECT litestream_sync()").size() == 50);
}

TEST_CASE_FIXTURE(Fixture, "all options are remembered") {
    Session sql(path);
    const std::string options =
        R"({"snapshot_interval":"6h","retention":"48h","validation_interval":"12h","sync_interval":"2s"})";

    REQUIRE(replicate(sql, options) == "file (journal_mode is now wal)");
    const std::string remembered = read_text(path + "-litestream/replicas.json");

    CHECK(contains(remembered, "\"snapshot_interval\": \"6h\""));
    CHECK(contains(remembered, "\"retention\": \"48h\""));
    CHECK(contains(remembered, "\"validation_interval\": \"12h\""));
    CHECK(replicate(sql, options) == "file");
    CHECK(contains(replicate(sql, "{}"), "there is a replica \"file\" at " + url + " already"));
}

TEST_CASE_FIXTURE(Fixture, "events tell of generations and of replicas that come and go") {
    {
        Session sql(path);
        replicate(sql);
        sql("CREATE TABLE t(a)");
        sql("SELECT litestream_sync()");
        sql("SELECT litestream_unreplicate('file')");
        replicate(sql);
    }
    Session sql(":memory:");
    const std::string replica = "file (" + url + ")";

    CHECK(contains(events(sql, path, "generation"), ": no generation exists"));
    CHECK(contains(events(sql, path, "replica_started"), replica + "," + replica));
    CHECK(events(sql, path, "replica_stopped") ==
          replica + ": forgotten," + replica + ": the database was closed");
    CHECK(sql("SELECT time GLOB '2*-*-*T*:*:*.*Z' FROM litestream_events WHERE database=" + sql_text(path)) ==
          "1");
}

TEST_CASE_FIXTURE(Fixture, "an error that lasts is one event, and so is its end") {
    Session sql(path);
    replicate(sql);
    sql("CREATE TABLE t(a)");
    sql("SELECT litestream_sync()");
    fs::rename(directory.path("b"), directory.path("away"));
    write_text(directory.path("b"), "in the way");
    for (int i = 0; i < 3; ++i) {
        sql("INSERT INTO t VALUES(1)");
        REQUIRE(contains(sql("SELECT litestream_sync(0.2)"), "is late"));
    }
    fs::remove(directory.path("b"));
    fs::rename(directory.path("away"), directory.path("b"));
    REQUIRE(sql("SELECT litestream_sync()").size() == 50);

    const std::string of_kind =
        " FROM litestream_events WHERE database=" + sql_text(path) + " AND kind='replica_";
    CHECK(eventually(sql, "SELECT count(*)" + of_kind + "recovered'", "1"));
    CHECK(sql("SELECT count(*)>0 AND count(*)=count(DISTINCT detail)" + of_kind + "error'") == "1");
}

}  // namespace
}  // namespace litestream::test
