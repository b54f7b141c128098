// Live replicas through SQL: what may be followed, following a directory, going on at the next open, stopping
// and promotion.
#include <doctest/doctest.h>
#include <stdlib.h>

#include <memory>

#include "shared/base/file.h"
#include "shared/base/text.h"
#include "tests/ext/ext_host.h"

namespace litestream::test {
namespace {

// A primary that is replicated to a directory, and the file that is to follow it.
struct Fixture {
    TempDirectory directory;
    std::string url = "file://" + directory.path("b");
    std::string path = directory.path("replica.db");
    Session primary{directory.path("app.db")};

    Fixture() {
        REQUIRE(primary("SELECT litestream_replicate(" + sql_text(url) + ",'{\"sync_interval\":0}')") ==
                "file (journal_mode is now wal)");
        primary("CREATE TABLE t(a)");
        write("one");
    }
    std::string write(const std::string& value) {
        primary("INSERT INTO t VALUES(" + sql_text(value) + ")");
        return primary("SELECT litestream_sync()");
    }
    std::string stream(Session& sql, const std::string& options = R"({"interval":0.05})") const {
        return stream_from(sql, url, options);
    }
    static std::string stream_from(Session& sql, const std::string& from, const std::string& options = "{}") {
        return sql("SELECT litestream_stream(" + sql_text(from) + "," + sql_text(options) + ")");
    }
    static std::string status(Session& sql, const std::string& key) {
        return sql("SELECT json_extract(litestream_status(),'$." + key + "')");
    }
    std::string events(Session& sql, const std::string& kind) const {
        return sql("SELECT count(*) FROM litestream_events WHERE database=" + sql_text(path) +
                   " AND kind=" + sql_text(kind));
    }
    static std::string values(Session& sql) { return sql("SELECT group_concat(a) FROM t"); }
    void check_untouched(Session& sql) const {
        CHECK(status(sql, "upstream") == "NULL");
        CHECK(sql("CREATE TABLE mine(a)") == "NULL");
        CHECK_FALSE(file_exists(path + "-litestream/replicas.json"));
    }
};

TEST_CASE_FIXTURE(Fixture, "a URL that cannot be followed is refused with what can") {
    Session sql(path);

    CHECK(sql("SELECT litestream_stream(NULL)") == "error: litestream_stream: url must not be NULL");
    CHECK(contains(stream_from(sql, "ftp://host/app"), "cannot be followed; use http://"));
    CHECK(contains(stream_from(sql, "http:///app.db"), "litestream_stream: "));
    CHECK(contains(stream_from(sql, "http://user:word@host/app.db"), "it holds user information"));
    CHECK(contains(stream_from(sql, "http://host/app.db?x=1"), "unknown key \"x\" in the query"));
    check_untouched(sql);
}

TEST_CASE_FIXTURE(Fixture, "a wrong option of stream is named") {
    Session sql(path);

    CHECK(contains(stream(sql, R"({"intervall":1})"), "unknown option \"intervall\"; known are timeout"));
    CHECK(contains(stream(sql, R"({"replace":1})"), "option \"replace\" must be true or false"));
    CHECK(contains(stream(sql, R"({"interval":0})"), "option \"interval\" must be at least 10ms"));
    CHECK(contains(stream(sql, R"({"token_file":"/absent/token"})"), "/absent/token"));
    CHECK(contains(stream(sql, R"({"region":"eu-west-1"})"), "unknown option \"region\"; known are timeout"));
    CHECK(contains(stream_from(sql, url + "?timeout=soon"), "option \"timeout\": cannot parse the duration"));
    check_untouched(sql);
}

TEST_CASE_FIXTURE(Fixture,
                  "a wrong option of stream_stop is named, and so is a database that follows nothing") {
    Session sql(path);

    CHECK(contains(sql("SELECT litestream_stream_stop('{\"demote\":true}')"), "unknown option \"demote\""));
    CHECK(contains(sql("SELECT litestream_stream_stop('{\"promote\":1}')"), "must be true or false"));
    CHECK(contains(sql("SELECT litestream_stream_stop()"), "is no live replica: nothing is followed"));
}

TEST_CASE_FIXTURE(Fixture, "what is no file of ours cannot become a replica") {
    Session memory(":memory:");
    Session sql(path);

    CHECK(contains(stream(memory), "not opened through the litestream VFS"));
    sql("BEGIN");
    CHECK(contains(stream(sql), "cannot run inside a transaction"));
    CHECK(contains(sql("SELECT litestream_stream_stop()"), "cannot run inside a transaction"));
    sql("ROLLBACK");
    check_untouched(sql);
}

TEST_CASE_FIXTURE(Fixture, "a database with something in it is not replaced unasked") {
    Session sql(path);
    sql("CREATE TABLE mine(a)");

    CHECK(contains(stream(sql), "is not empty, and no replica of " + url));
    CHECK(sql("SELECT count(*) FROM mine") == "0");
    CHECK(stream(sql, R"({"replace":true})").size() == 50);
    CHECK(values(sql) == "one");
}

TEST_CASE_FIXTURE(Fixture, "a replicated database does not become a replica") {
    CHECK(contains(stream(primary), "SELECT litestream_unreplicate('file') first"));
    CHECK(status(primary, "role") == "primary");
}

TEST_CASE_FIXTURE(Fixture, "an empty database becomes a live replica at the primary's position") {
    const std::string position = write("two");
    Session sql(path);

    CHECK(stream(sql) == position);
    CHECK(values(sql) == "one,two");
    CHECK(sql("SELECT litestream_position()") == position);
    CHECK(status(sql, "role") == "replica");
    CHECK(status(sql, "upstream.url") == url);
    CHECK(status(sql, "upstream.state") == "streaming");
    CHECK(status(sql, "why") == "NULL");
    CHECK(eventually(sql, "SELECT litestream_lag()", "0.0"));
    CHECK(sql("SELECT role FROM litestream_databases WHERE path=" + sql_text(path)) == "replica");
    CHECK(events(sql, "upstream_snapshot") == "1");
}

TEST_CASE_FIXTURE(Fixture, "an empty WAL database becomes a live replica too") {
    Session sql(path);
    REQUIRE(sql("PRAGMA journal_mode=WAL") == "wal");

    CHECK(stream(sql).size() == 50);
    CHECK(values(sql) == "one");
}

TEST_CASE_FIXTURE(Fixture, "a replica gets what is committed later") {
    Session sql(path);
    stream(sql);

    const std::string position = write("two");

    CHECK(sql("SELECT litestream_wait(" + sql_text(position) + ")") == "1");
    CHECK(values(sql) == "one,two");
    CHECK(eventually(sql, "SELECT litestream_lag()", "0.0"));
    CHECK(primary("SELECT litestream_lag()") == "NULL");
}

TEST_CASE_FIXTURE(Fixture, "a replica is read-only, and is not replicated from here") {
    Session sql(path);
    stream(sql);
    const std::string promote = "promote first";

    CHECK(contains(sql("INSERT INTO t VALUES('mine')"), "readonly database"));
    CHECK(contains(sql("SELECT litestream_sync()"), promote));
    CHECK(contains(sql("SELECT litestream_snapshot()"), promote));
    CHECK(contains(sql("SELECT litestream_replicate(" + sql_text("file://" + directory.path("c")) + ")"),
                   promote));
    CHECK(values(sql) == "one");
}

TEST_CASE_FIXTURE(Fixture, "the same call again returns the position, another upstream is refused") {
    Session sql(path);
    const std::string position = stream(sql);

    CHECK(stream(sql) == position);
    CHECK(contains(stream_from(sql, "file://" + directory.path("c")), "follows " + url));
    CHECK(status(sql, "upstream.state") == "streaming");
}

TEST_CASE_FIXTURE(Fixture, "a replica goes on by itself when it is opened again") {
    auto sql = std::make_unique<Session>(path);
    stream(*sql);
    sql.reset();
    const std::string position = write("two");

    sql = std::make_unique<Session>(path);

    CHECK(status(*sql, "role") == "replica");
    CHECK((*sql)("SELECT litestream_wait(" + sql_text(position) + ")") == "1");
    CHECK(values(*sql) == "one,two");
    CHECK(eventually(*sql, "SELECT litestream_lag()", "0.0"));
    CHECK(events(*sql, "upstream_snapshot") == "1");
}

TEST_CASE_FIXTURE(Fixture, "a stopped replica stays read-only and stays stopped") {
    auto sql = std::make_unique<Session>(path);
    const std::string position = stream(*sql);

    CHECK((*sql)("SELECT litestream_stream_stop()") == position);
    CHECK(contains((*sql)("INSERT INTO t VALUES('mine')"), "readonly database"));
    CHECK(status(*sql, "upstream") == "NULL");
    sql.reset();
    sql = std::make_unique<Session>(path);
    CHECK(status(*sql, "role") == "replica");
    CHECK(status(*sql, "upstream") == "NULL");
    CHECK((*sql)("SELECT litestream_position()") == position);
}

TEST_CASE_FIXTURE(Fixture, "a stopped replica goes on when it is told to, without replace") {
    auto sql = std::make_unique<Session>(path);
    stream(*sql);
    (*sql)("SELECT litestream_stream_stop()");
    sql.reset();
    const std::string position = write("two");
    sql = std::make_unique<Session>(path);

    CHECK(contains(status(*sql, "why"), "litestream_stream('" + url + "') goes on"));
    CHECK(stream(*sql).size() == 50);
    CHECK((*sql)("SELECT litestream_wait(" + sql_text(position) + ")") == "1");
    CHECK(values(*sql) == "one,two");
    CHECK(events(*sql, "upstream_snapshot") == "1");
}

TEST_CASE_FIXTURE(Fixture, "a stopped replica follows another upstream only with replace") {
    Session sql(path);
    stream(sql);
    sql("SELECT litestream_stream_stop()");
    const std::string nothing = "file://" + directory.path("nothing");

    CHECK(contains(stream_from(sql, nothing), "is not empty, and no replica of " + nothing));
    CHECK(contains(stream_from(sql, nothing, R"({"replace":true,"timeout":0.2})"), "is readable yet"));
    CHECK(status(sql, "upstream") == "NULL");
    CHECK(stream(sql).size() == 50);
}

TEST_CASE_FIXTURE(Fixture, "a stopped replica is not resumed by the URI of an open") {
    const std::string uri = "file:" + path + "?vfs=litestream&upstream=" + percent_encode(url);
    auto sql = std::make_unique<Session>(path);
    stream(*sql);
    (*sql)("SELECT litestream_stream_stop()");
    sql.reset();

    sql = std::make_unique<Session>(uri);

    CHECK(status(*sql, "role") == "replica");
    CHECK(status(*sql, "upstream") == "NULL");
    CHECK(events(*sql, "upstream_refused") == "0");
}

TEST_CASE_FIXTURE(Fixture, "a promoted replica has forgotten its upstream") {
    auto sql = std::make_unique<Session>(path);
    stream(*sql);

    (*sql)("SELECT litestream_stream_stop('{\"promote\":true}')");

    CHECK_FALSE(contains(read_text(path + "-litestream/replicas.json"), "upstream"));
    CHECK(contains(stream(*sql), "is not empty, and no replica of " + url));
}

TEST_CASE_FIXTURE(Fixture, "a database does not follow itself") {
    Session sql(path);
    const std::string base = primary("SELECT litestream_serve('127.0.0.1:0')");
    REQUIRE(base.starts_with("http://127.0.0.1:"));
    const std::string port = base.substr(base.rfind(':'));

    for (const std::string& own : {base, base + "/replica.db", base + path, "http://localhost" + port}) {
        CHECK(contains(stream_from(sql, own), "itself, served by this very process"));
    }
    CHECK(stream_from(sql, base + "/app.db", R"({"replace":true})").size() == 50);
    CHECK(values(sql) == "one");
    CHECK(sql("SELECT litestream_stream_stop()").size() == 50);
    CHECK(primary("SELECT litestream_serve_stop()") == "1");
}

TEST_CASE_FIXTURE(Fixture,
                  "a promoted replica is written in the same connection, in a generation of its own") {
    Session sql(path);
    const std::string position = stream(sql);

    const std::string promoted = sql("SELECT litestream_stream_stop('{\"promote\":true}')");

    CHECK(promoted.size() == 50);
    CHECK(promoted.substr(0, 16) != position.substr(0, 16));
    CHECK(sql("INSERT INTO t VALUES('mine')") == "NULL");
    CHECK(values(sql) == "one,mine");
    CHECK(status(sql, "role") == "primary");
    CHECK(contains(status(sql, "generation_reason"), "promoted from " + position + ", a replica of " + url));
}

TEST_CASE_FIXTURE(Fixture, "where nothing comes in time, the database is as it was") {
    Session sql(path);
    const std::string nothing = "file://" + directory.path("nothing");

    const std::string error = stream_from(sql, nothing, R"({"timeout":0.2})");

    CHECK(contains(error, "no state of " + nothing + " is readable yet"));
    CHECK(sql.code() == SQLITE_BUSY);
    CHECK_FALSE(file_exists(path + "-litestream"));
    check_untouched(sql);
}

TEST_CASE_FIXTURE(Fixture, "a server that is not there is named") {
    Session sql(path);

    const std::string error = stream_from(sql, "http://127.0.0.1:1/app.db", R"({"timeout":0.3})");

    CHECK(contains(error, "http://127.0.0.1:1"));
    CHECK(sql.code() == SQLITE_BUSY);
    check_untouched(sql);
}

TEST_CASE_FIXTURE(Fixture, "an upstream in the URI is followed from the open on") {
    const std::string uri = "file:" + path + "?vfs=litestream&upstream=" + percent_encode(url);
    Session sql(uri);

    CHECK(status(sql, "role") == "replica");
    CHECK(eventually(sql, "SELECT json_extract(litestream_status(),'$.upstream.state')", "streaming"));
    CHECK(values(sql) == "one");
}

TEST_CASE_FIXTURE(Fixture, "an upstream in the environment does not replace what is in a database") {
    Session{path}("CREATE TABLE mine(a)");
    ::setenv("LITESTREAM_UPSTREAM_URL", url.c_str(), 1);

    Session sql(path);

    ::unsetenv("LITESTREAM_UPSTREAM_URL");
    CHECK(status(sql, "role") == "none");
    CHECK(events(sql, "upstream_refused") == "1");
    CHECK(sql("SELECT count(*) FROM mine") == "0");
}

}  // namespace
}  // namespace litestream::test
