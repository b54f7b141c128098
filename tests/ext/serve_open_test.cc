// A server that a URI or the environment asks for, and what a forked child sees of one.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ext/metrics.h"
#include "tests/ext/ext_host.h"
#include "tests/ext/http_probe.h"
#include "tests/support/variable.h"

namespace litestream::test {
namespace {

struct Fixture {
    TempDirectory directory;
    std::string path = directory.path("app.db");
    Session memory{":memory:"};

    Fixture() {
        Session sql(path);
        REQUIRE(sql("PRAGMA journal_mode=WAL") == "wal");
        sql("CREATE TABLE t(a)");
    }
    ~Fixture() { memory("SELECT litestream_serve_stop()"); }

    std::string url() { return memory("SELECT json_extract(litestream_status(),'$.server.url')"); }
    std::string uri(const std::string& parameters) const {
        return "file:" + path + "?vfs=litestream&" + parameters;
    }
    std::string refusals() {
        return memory("SELECT count(*) FROM litestream_events WHERE kind='serve_refused' AND database=" +
                      sql_text(path));
    }
    // Another test stopped its server by hand: what a URI asks for counts again after a call of serve.
    void forget_stop() {
        Session writer(directory.path("locked.db"));
        writer("CREATE TABLE t(a)");
        writer("BEGIN IMMEDIATE");
        Session other(directory.path("locked.db"));
        other("PRAGMA busy_timeout=0");
        REQUIRE(contains(other("SELECT litestream_serve('127.0.0.1:0')"), "cannot change journal_mode"));
    }
};

TEST_CASE_FIXTURE(Fixture, "a URI asks for a server, many connections for one") {
    forget_stop();
    Session sql(uri("serve=127.0.0.1:0"));
    Session again(uri("serve=127.0.0.1:0"));
    REQUIRE(sql("SELECT litestream_sync()").size() == 50);

    CHECK(status_of(http_get(url(), "/status")) == 200);
    CHECK(contains(http_get(url(), "/metrics"), "litestream_capture_up{db=\"" + path + "\"} 1\n"));
}

TEST_CASE_FIXTURE(Fixture, "a server that was stopped by hand is not started by the next open") {
    forget_stop();
    Session first(uri("serve=127.0.0.1:0"));
    REQUIRE(memory("SELECT litestream_serve_stop()") == "1");

    Session sql(uri("serve=127.0.0.1:0"));

    CHECK(url() == "NULL");
    CHECK(sql("SELECT litestream_serve('127.0.0.1:0')").starts_with("http://"));
}

TEST_CASE_FIXTURE(Fixture, "an address that cannot be served is told once, and the open succeeds") {
    forget_stop();

    Session first(uri("serve=192.0.2.1:1"));
    Session second(uri("serve=192.0.2.1:1"));

    CHECK(second("SELECT count(*) FROM t") == "0");
    CHECK(refusals() == "1");
}

TEST_CASE_FIXTURE(Fixture, "the environment asks for a server, guarded by its token") {
    forget_stop();
    const Variable token("LITESTREAM_TOKEN", "secret");
    const Variable address("LITESTREAM_ADDR", "127.0.0.1:0");

    Session sql(path);

    CHECK(status_of(http_get(url(), "/status")) == 401);
    CHECK(status_of(http_get(url(), "/status", "Authorization: Bearer secret\r\n")) == 200);
    CHECK(status_of(http_get(url(), "/healthz")) == 200);
}

TEST_CASE_FIXTURE(Fixture, "a live replica of ours is served by its primary, shown, and unwell without it") {
    Session sql(path);
    const std::string url = sql("SELECT litestream_serve('127.0.0.1:0')");
    sql("INSERT INTO t VALUES(7)");
    Session replica(directory.path("replica.db"));

    REQUIRE(replica("SELECT litestream_stream(" + sql_text(url + "/app.db") + ")").size() == 50);

    CHECK(eventually(replica, "SELECT a FROM t", "7"));
    CHECK(eventually(sql, "SELECT position=litestream_position() FROM litestream_streams", "1"));
    CHECK(sql("SELECT json_extract(litestream_status(),'$.streams[0].protocol')") == "liblitestream/1");
    CHECK(body_of(http_get(url, "/healthz")) == "ok\n");
    CHECK(contains(http_get(url, "/metrics"),
                   "litestream_upstream_up{db=\"" + directory.path("replica.db") + "\"} 1\n"));
    sql.close();
    const std::string state = "SELECT json_extract(litestream_status(),'$.upstream.state')='streaming'";
    REQUIRE(eventually(replica, state, "0"));
    CHECK(contains(body_of(http_get(url, "/healthz")), "replica.db: not connected to " + url + "/app.db"));
}

TEST_CASE_FIXTURE(Fixture, "a forked child says that it cannot serve, and leaves the server alone") {
    Session sql(path);
    const std::string url = sql("SELECT litestream_serve('127.0.0.1:0')");
    const pid_t child = ::fork();
    if (child == 0) {
        const bool is_refused = contains(memory("SELECT litestream_serve('127.0.0.1:0')"), "forked") &&
                                contains(memory("SELECT litestream_serve_stop()"), "forked") &&
                                memory("SELECT count(*) FROM litestream_streams") == "0";
        ::_exit(is_refused ? 0 : 1);
    }
    int result = -1;
    REQUIRE(::waitpid(child, &result, 0) == child);

    CHECK(result == 0);
    CHECK(status_of(http_get(url, "/healthz")) == 200);
}

TEST_CASE("labels are escaped, and samples of a name stand together") {
    MetricsText text;
    text.declare("one", "gauge", "First.");
    text.declare("two", "counter", "Second.");
    text.declare("none", "gauge", "Absent.");
    text.add("one", {{"db", "/a\"b\\c\nd\xff"}}, std::uint64_t{1});
    text.add("two", {}, std::uint64_t{7});
    text.add("one", {{"db", "x"}, {"peer", "y"}}, 0.25);

    CHECK(text.to_string() ==
          "# HELP one First.\n# TYPE one gauge\none{db=\"/a\\\"b\\\\c\\nd\xEF\xBF\xBD\"} 1\n"
          "one{db=\"x\",peer=\"y\"} 0.25\n# HELP two Second.\n# TYPE two counter\ntwo 7\n");
}

}  // namespace
}  // namespace litestream::test
