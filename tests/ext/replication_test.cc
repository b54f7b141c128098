// Replicas through SQL: adding, forgetting, remembering, and who may not follow what is remembered.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>

#include "ext/replication.h"
#include "shared/base/file.h"
#include "tests/ext/ext_host.h"
#include "tests/support/variable.h"

namespace litestream::test {
namespace {

namespace fs = std::filesystem;

struct Fixture {
    TempDirectory directory;
    std::string path = directory.path("app.db");
    std::string meta = path + "-litestream";
    std::string url = "file://" + directory.path("b");

    std::string replicate(Session& sql, const std::string& more = "") const {
        return sql("SELECT litestream_replicate(" + sql_text(url) + more + ")");
    }
    // What the replica holds, restored and read by plain SQLite.
    std::string restored(Session& sql) const {
        const std::string out = directory.path("restored.db");
        fs::remove(out);
        const std::string position =
            sql("SELECT litestream_restore(" + sql_text(url) + "," + sql_text(out) + ")");
        return contains(position, "error") ? position
                                           : Session("file:" + out)("SELECT group_concat(a) FROM t");
    }
};

TEST_CASE_FIXTURE(Fixture, "a commit is in the replica once litestream_sync returns") {
    Session sql(path);
    REQUIRE(replicate(sql) == "file (journal_mode is now wal)");
    sql("CREATE TABLE t(a)");
    sql("INSERT INTO t VALUES('one')");

    const std::string position = sql("SELECT litestream_sync()");

    CHECK(position.size() == 50);
    CHECK(position == sql("SELECT litestream_position()"));
    CHECK(sql("SELECT litestream_wait(" + sql_text(position) + ")") == "1");
    CHECK(contains(restored(sql), "one"));
}

TEST_CASE_FIXTURE(Fixture, "replicate says so only when it changed the journal mode") {
    Session sql(path);
    sql("PRAGMA journal_mode=WAL");

    CHECK(replicate(sql) == "file");
    CHECK(sql("PRAGMA journal_mode") == "wal");
}

TEST_CASE("a replica is found by its URL, with the options of its store and without ours") {
    CHECK(canonical_url("s3://bucket/app/?name=x&region=eu-west-1") == "s3://bucket/app?region=eu-west-1");
    CHECK(canonical_url("file:///backup/app/?name=x") == "file:///backup/app");
}

TEST_CASE_FIXTURE(Fixture, "a store without credentials is refused at once, and nothing is remembered") {
    const Variable no_file("AWS_SHARED_CREDENTIALS_FILE", directory.path("none"));
    const Variable no_config("AWS_CONFIG_FILE", directory.path("none"));
    const Variable no_metadata("AWS_EC2_METADATA_DISABLED", "true");
    Session sql(path);

    const std::string refusal = sql("SELECT litestream_replicate('s3://bucket/app?region=eu-west-1')");

    CHECK(contains(refusal, "no credentials: looked at AWS_ACCESS_KEY_ID"));
    CHECK_FALSE(file_exists(meta + "/replicas.json"));
    CHECK(sql("SELECT count(*) FROM litestream_replicas") == "0");
}

TEST_CASE_FIXTURE(Fixture, "the same call twice adds one replica") {
    Session sql(path);
    replicate(sql);

    CHECK(replicate(sql) == "file");
    CHECK(sql("SELECT litestream_replicate(" + sql_text(url + "/") + ")") == "file");
    CHECK(sql("SELECT count(*) FROM litestream_replicas") == "1");
}

TEST_CASE_FIXTURE(Fixture, "a name or URL that is taken is refused, and names the replica that has it") {
    Session sql(path);
    replicate(sql, ",'{\"name\":\"first\"}'");
    const std::string in_the_way = "there is a replica \"first\" at " + url + " already";

    CHECK(contains(replicate(sql, ",'{\"name\":\"second\"}'"), in_the_way));
    CHECK(contains(replicate(sql, ",'{\"sync_interval\":5}'"), in_the_way));
    CHECK(contains(sql("SELECT litestream_replicate(" + sql_text(url + "2?name=first") + ")"), in_the_way));
    CHECK(sql("SELECT count(*) FROM litestream_replicas") == "1");
}

TEST_CASE_FIXTURE(Fixture, "a name that is made up is made unique") {
    Session sql(path);
    replicate(sql);

    const std::string second = sql("SELECT litestream_replicate(" + sql_text(url + "2") + ")");

    CHECK(second == "file2");
    CHECK(sql("SELECT group_concat(name) FROM litestream_replicas") == "file,file2");
}

TEST_CASE_FIXTURE(Fixture, "one URL serves one database") {
    Session first(path);
    Session second(directory.path("other.db"));
    replicate(first);

    const std::string result = replicate(second);

    CHECK(contains(result, url + " is a replica of " + path + "; every database needs a URL of its own"));
    CHECK(second("PRAGMA journal_mode") == "delete");
}

TEST_CASE_FIXTURE(Fixture, "an attached database has replicas of its own") {
    Session sql(":memory:");
    sql("ATTACH " + sql_text("file:" + path + "?vfs=litestream") + " AS aux");
    sql("CREATE TABLE aux.t(a)");

    CHECK(replicate(sql, ",NULL,'aux'") == "file (journal_mode is now wal)");
    sql("INSERT INTO aux.t VALUES('two')");
    CHECK(sql("SELECT litestream_sync(NULL,'aux')") == sql("SELECT litestream_position('aux')"));
    CHECK(contains(restored(sql), "two"));
}

TEST_CASE_FIXTURE(Fixture, "a replica is forgotten by name or by URL, and its files stay") {
    Session sql(path);
    replicate(sql);
    sql("SELECT litestream_sync()");

    CHECK(sql("SELECT litestream_unreplicate('nope')") == "0");
    CHECK(sql("SELECT litestream_unreplicate(" + sql_text(url + "/") + ")") == "1");
    CHECK(sql("SELECT litestream_unreplicate('file')") == "0");
    CHECK(sql("SELECT count(*) FROM litestream_replicas") == "0");
    CHECK(contains(read_text(meta + "/replicas.json"), "\"replicas\": []"));
    CHECK(fs::exists(directory.path("b/generations")));
}

TEST_CASE_FIXTURE(Fixture, "the next one who opens the database goes on") {
    {
        Session sql(path);
        replicate(sql, ",'{\"name\":\"kept\",\"sync_interval\":\"20ms\"}'");
        sql("CREATE TABLE t(a)");
    }

    Session sql(path);
    sql("INSERT INTO t VALUES('three')");

    CHECK(sql("SELECT name||' '||url FROM litestream_replicas") == "kept " + url);
    CHECK(sql("SELECT litestream_sync()").size() == 50);
    CHECK(contains(restored(sql), "three"));
    CHECK(contains(read_text(meta + "/replicas.json"), "\"sync_interval\": \"20ms\""));
}

TEST_CASE_FIXTURE(Fixture, "the last close hands on what was captured, long before the interval is over") {
    {
        Session sql(path);
        replicate(sql, ",'{\"sync_interval\":\"1h\"}'");
        sql("CREATE TABLE t(a)");
        sql("INSERT INTO t VALUES('four')");
        sql("SELECT litestream_position()");
    }
    Session other(":memory:");

    CHECK(contains(restored(other), "four"));
}

TEST_CASE_FIXTURE(Fixture, "a replica that is lost is named by a sync that is late, and holds up no close") {
    Session sql(path);
    replicate(sql);
    sql("SELECT litestream_sync()");
    fs::rename(directory.path("b"), directory.path("away"));
    write_text(directory.path("b"), "in the way");
    sql("CREATE TABLE t(a)");

    const std::string result = sql("SELECT litestream_sync(0.5)");

    CHECK(contains(result, "litestream_sync: not within 500ms: replica \"file\" (" + url + ") is late"));
    CHECK(contains(result, "its last error: "));
    CHECK(sql.code() == SQLITE_BUSY);
    CHECK(sql("INSERT INTO t VALUES(1)") == "NULL");
}

TEST_CASE_FIXTURE(Fixture, "a copied database sends nothing, says why, and can be set up anew") {
    {
        Session sql(path);
        replicate(sql);
        sql("CREATE TABLE t(a)");
    }
    const std::string copy = directory.path("copy.db");
    fs::copy(path, copy);
    fs::copy(meta, copy + "-litestream", fs::copy_options::recursive);

    Session sql(copy);
    const std::string before = sql("SELECT json_extract(litestream_status(),'$.why')");

    CHECK(contains(before, "its replicas were set up at another path (" + path + ")"));
    CHECK(sql("SELECT count(*) FROM litestream_replicas") == "0");
    CHECK(sql("SELECT litestream_replicate(" + sql_text(url + "-copy") + ")") == "file");
    CHECK(sql("SELECT json_extract(litestream_status(),'$.why')") == "NULL");
}

TEST_CASE_FIXTURE(Fixture, "what others could have written is not followed") {
    {
        Session sql(path);
        replicate(sql);
    }
    REQUIRE(::chmod((meta + "/replicas.json").c_str(), 0666) == 0);

    Session sql(path);

    CHECK(sql("SELECT count(*) FROM litestream_replicas") == "0");
    CHECK(contains(sql("SELECT json_extract(litestream_status(),'$.why')"), "can be written by other users"));
}

TEST_CASE_FIXTURE(Fixture, "nothing is set up in a meta directory that others can write") {
    Session sql(path);
    sql("PRAGMA journal_mode=WAL");
    sql("SELECT litestream_sync()");
    REQUIRE(::chmod(meta.c_str(), 0777) == 0);

    const std::string result = replicate(sql);

    CHECK(
        contains(result, "what is remembered there would not be followed: " + meta + ": can be written by"));
    CHECK(sql("SELECT count(*) FROM litestream_replicas") == "0");
    CHECK_FALSE(file_exists(directory.path("b")));
}

}  // namespace
}  // namespace litestream::test
