// litestream_serve: who may be served what, and what the database becomes for it.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>

#include "shared/base/text.h"
#include "tests/ext/ext_host.h"
#include "tests/ext/http_probe.h"
#include "tests/support/variable.h"

namespace litestream::test {
namespace {

struct Fixture {
    TempDirectory directory;
    std::string path = directory.path("app.db");
    Session sql{path};

    ~Fixture() { sql("SELECT litestream_serve_stop()"); }

    std::string serve(const std::string& address = "127.0.0.1:0", const std::string& options = "{}") {
        return sql("SELECT litestream_serve(" + sql_text(address) + "," + sql_text(options) + ")");
    }
    std::string status(const std::string& key) {
        return sql("SELECT json_extract(litestream_status(),'$." + key + "')");
    }
    std::string serve_table() {
        sql("CREATE TABLE t(a)");
        const std::string url = serve();
        REQUIRE(url.starts_with("http://127.0.0.1:"));
        return url;
    }
    std::string token_file(const std::string& token, mode_t mode = 0600) {
        const std::string file = directory.path("token");
        write_text(file, token);
        ::chmod(file.c_str(), mode);
        return file;
    }
    std::string with_token(const std::string& file) { return "{\"token_file\":\"" + file + "\"}"; }
    std::string events(const std::string& kind) {
        return sql("SELECT count(*) FROM litestream_events WHERE database=" + sql_text(path) +
                   " AND kind=" + sql_text(kind));
    }
};

// A client of e6f7c60 that stays.
struct StreamProbe {
    HttpProbe probe;
    StreamProbe(const std::string& url, const std::string& path) : probe(url) {
        probe.send("GET /stream?path=" + percent_encode(path) + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
};

// --- What the call does ---

TEST_CASE_FIXTURE(Fixture, "serve makes the database WAL, captured, and says so in an event") {
    serve_table();

    CHECK(status("journal_mode") == "wal");
    CHECK(status("role") == "primary");
    CHECK(events("journal_mode") == "1");
}

TEST_CASE_FIXTURE(Fixture, "serve refuses to run inside a transaction") {
    sql("BEGIN");

    CHECK(serve() == "error: litestream_serve: cannot run inside a transaction; COMMIT or ROLLBACK first");
    sql("COMMIT");
    CHECK(status("server") == "NULL");
}

TEST_CASE_FIXTURE(Fixture, "status shows the server while there is one") {
    const std::string url = serve_table();

    CHECK(status("server.url") == url);
    CHECK(status("server.tls") == "0");
    CHECK(sql("SELECT litestream_serve_stop()") == "1");
    CHECK(status("server") == "NULL");
    CHECK(sql("SELECT litestream_serve_stop()") == "0");
    CHECK_THROWS(HttpProbe{url});
}

TEST_CASE_FIXTURE(Fixture, "the same call again gives the same URL, another one names the way out") {
    const std::string url = serve_table();

    CHECK(serve() == url);
    CHECK(serve(url.substr(7)) == url);
    CHECK(serve("127.0.0.1:1") == "error: litestream_serve: this process serves at " + url +
                                      " already; SELECT litestream_serve_stop() first");
    CHECK(contains(serve("127.0.0.1:0", "{\"insecure\":true}"), "already, with other options"));
}

TEST_CASE_FIXTURE(Fixture, "a call that fails changes nothing") {
    sql("CREATE TABLE t(a)");
    const BusyPort busy;

    CHECK(contains(serve("127.0.0.1"), "error: litestream_serve: "));
    CHECK(contains(serve("127.0.0.1:70000"), "error: litestream_serve: "));
    CHECK(contains(serve(busy.address()), busy.address() + ": "));
    CHECK(sql.code() == SQLITE_CANTOPEN);
    CHECK(status("journal_mode") == "delete");
    CHECK(status("server") == "NULL");
}

TEST_CASE_FIXTURE(Fixture, "a database that cannot become WAL ends the server that was made for it") {
    sql("CREATE TABLE t(a)");
    sql("PRAGMA busy_timeout=0");
    Session other(path);
    other("BEGIN IMMEDIATE");

    CHECK(contains(serve(), "error: litestream_serve: cannot change journal_mode to wal"));
    CHECK(status("server") == "NULL");
    other("COMMIT");
    CHECK(serve().starts_with("http://"));
}

TEST_CASE_FIXTURE(Fixture, "options that nobody knows or that make no sense are named") {
    CHECK(serve("127.0.0.1:0", "{\"port\":1}") ==
          "error: litestream_serve: unknown option \"port\"; known are databases, token_file, insecure");
    CHECK(contains(serve("127.0.0.1:0", "{\"databases\":[]}"), "\"databases\" must be an array of paths"));
    CHECK(contains(serve("127.0.0.1:0", "{\"databases\":\"/a\"}"), "must be an array of paths"));
    CHECK(contains(serve("127.0.0.1:0", "{\"insecure\":1}"), "\"insecure\" must be true or false"));
    CHECK(contains(serve("127.0.0.1:0", "{\"token_file\":\"/nowhere/t\"}"), "/nowhere/t"));
    CHECK(contains(sql("SELECT litestream_serve(NULL)"), "address"));
    CHECK(status("server") == "NULL");
}

TEST_CASE_FIXTURE(Fixture, "a connection with nothing to serve is told so") {
    sql.close();
    Session memory(":memory:");

    CHECK(contains(memory("SELECT litestream_serve('127.0.0.1:0')"), "nothing to serve: main is :memory:"));
}

// --- Who may ask ---

TEST_CASE_FIXTURE(Fixture, "an address that others reach needs a token or says insecure") {
    const std::string refusal = serve("0.0.0.0:0");

    CHECK(contains(refusal, "0.0.0.0:0 is no loopback address, and there is no token"));
    CHECK(contains(refusal, "token_file or LITESTREAM_TOKEN"));
    CHECK(contains(serve(":0"), "no loopback address"));
    CHECK(serve("0.0.0.0:0", "{\"insecure\":true}").starts_with("http://0.0.0.0:"));
    CHECK(sql("SELECT litestream_serve_stop()") == "1");
    CHECK(serve("0.0.0.0:0", with_token(token_file("secret"))).starts_with("http://0.0.0.0:"));
}

TEST_CASE_FIXTURE(Fixture, "a token guards every path but healthz") {
    sql("CREATE TABLE t(a)");
    const std::string url = serve("127.0.0.1:0", with_token(token_file("secret\n")));

    for (const char* target : {"/metrics", "/status", "/stream?path=/app.db", "/elsewhere"}) {
        CAPTURE(target);
        const std::string answer = http_get(url, target);
        CHECK(status_of(answer) == 401);
        CHECK(contains(answer, "WWW-Authenticate: Bearer\r\n"));
        CHECK(status_of(http_get(url, target, "Authorization: Bearer secret2\r\n")) == 401);
        CHECK(status_of(http_get(url, target, "Authorization: Basic secret\r\n")) == 401);
    }
    CHECK(status_of(http_get(url, "/healthz")) == 200);
    CHECK(status_of(http_get(url, "/status", "Authorization: Bearer secret\r\n")) == 200);
    CHECK(status_of(http_get(url, "/elsewhere", "authorization: bearer secret\r\n")) == 404);
    CHECK(status_of(http_get(url, "/status", "Host: other\r\nAuthorization: Bearer secret\r\n")) == 200);
}

TEST_CASE_FIXTURE(Fixture, "a token file that others can read is refused") {
    CHECK(contains(serve("127.0.0.1:0", with_token(token_file("secret", 0644))), "chmod 600"));
}

TEST_CASE_FIXTURE(Fixture, "the token may come from the environment") {
    sql("CREATE TABLE t(a)");
    const Variable token("LITESTREAM_TOKEN", "secret");
    const std::string url = serve();

    CHECK(status_of(http_get(url, "/status")) == 401);
    CHECK(status_of(http_get(url, "/status", "Authorization: Bearer secret\r\n")) == 200);
    CHECK_FALSE(contains(sql("SELECT litestream_status()"), "secret"));
}

TEST_CASE_FIXTURE(Fixture, "without a token a foreign Host header is refused") {
    const std::string url = serve_table();

    for (const char* host : {"localhost", "LOCALHOST:1", "127.0.0.1:80", "[::1]:9090", "[::1]"}) {
        CAPTURE(host);
        CHECK(status_of(http_get(url, "/status", std::string("Host: ") + host + "\r\n")) == 200);
    }
    for (const char* host : {"evil.example", "localhost.evil.example:80", "192.0.2.1", "::1"}) {
        CAPTURE(host);
        const std::string answer = http_get(url, "/healthz", std::string("Host: ") + host + "\r\n");
        CHECK(status_of(answer) == 403);
        CHECK(contains(answer, "localhost, 127.0.0.1 and [::1] only"));
    }
}

// --- What is answered ---

TEST_CASE_FIXTURE(Fixture, "a path that is none of ours is not found") {
    const std::string answer = http_get(serve_table(), "/");

    CHECK(status_of(answer) == 404);
    CHECK(body_of(answer) == "404 page not found\n");
}

TEST_CASE_FIXTURE(Fixture, "status is the JSON of every served database") {
    const std::string url = serve_table();
    Session other(directory.path("other.db"));
    other("PRAGMA journal_mode=WAL");
    other("CREATE TABLE t(a)");

    const std::string body = sql_text(body_of(http_get(url, "/status")));

    CHECK(sql("SELECT group_concat(key) FROM json_each(" + body + ")") == "version,server,databases");
    CHECK(sql("SELECT json_array_length(" + body + ",'$.databases')") == "2");
    CHECK(sql("SELECT group_concat(key) FROM json_each(" + body + ",'$.databases[0]')") ==
          sql("SELECT group_concat(key) FROM json_each(litestream_status())"));
    CHECK(sql("SELECT count(*) FROM json_each(" + body +
              ",'$.databases') WHERE value->>'database'=" + sql_text(path) +
              " AND value->>'position'=litestream_position() AND value->>'page_size'=4096") == "1");
}

TEST_CASE_FIXTURE(Fixture, "metrics are named, typed and labelled") {
    const std::string url = serve_table();
    const std::string answer = http_get(url, "/metrics");
    const std::string body = body_of(answer);

    CHECK(contains(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    CHECK(contains(body, "# HELP litestream_db_size Size"));
    CHECK(contains(body, "# TYPE litestream_db_size gauge\nlitestream_db_size{db=\"" + path + "\"} "));
    CHECK(contains(body, "litestream_shadow_wal_index{db=\"" + path + "\"} 0\n"));
    CHECK(contains(body, "litestream_capture_up{db=\"" + path + "\"} 1\n"));
    CHECK(contains(body, "litestream_streams{db=\"" + path + "\"} 0\n"));
    CHECK_FALSE(contains(body, "litestream_replica_up"));
}

TEST_CASE_FIXTURE(Fixture, "healthz says ok until a replica has an error") {
    const std::string url = serve_table();
    CHECK(body_of(http_get(url, "/healthz")) == "ok\n");
    const std::string backup = directory.path("b");
    REQUIRE(sql("SELECT litestream_replicate(" + sql_text("file://" + backup) + ")") == "file");
    REQUIRE(sql("SELECT litestream_sync()").size() == 50);
    CHECK(status_of(http_get(url, "/healthz")) == 200);

    std::filesystem::rename(backup, directory.path("moved"));  // at once, whatever is being written in it
    write_text(backup, "in the way");
    sql("INSERT INTO t VALUES(1)");
    REQUIRE(eventually(sql, "SELECT count(*) FROM litestream_replicas WHERE last_error IS NOT NULL", "1"));

    const std::string answer = http_get(url, "/healthz");
    CHECK(status_of(answer) == 503);
    CHECK(contains(body_of(answer), path + ": replica file (file://" + backup + ") is "));
}

// --- What is streamed ---

TEST_CASE_FIXTURE(Fixture, "a database is found by its path or by its name") {
    const std::string url = serve_table();

    for (const std::string& name : {path, std::string("app.db"), std::string("/app.db")}) {
        CAPTURE(name);
        StreamProbe stream(url, name);
        const std::string answer = stream.probe.read_until("\r\n\r\n");
        CHECK(status_of(answer) == 200);
        CHECK(contains(answer, "Litestream-Page-Size: 4096\r\n"));
    }
    CHECK(status_of(http_get(url, "/stream?path=/elsewhere/app.db")) == 404);
    CHECK(status_of(http_get(url, "/stream?path=other.db")) == 404);
}

TEST_CASE_FIXTURE(Fixture, "a name that two databases have is a conflict") {
    const std::string url = serve_table();
    REQUIRE(make_directories(directory.path("two"), 0700));
    Session twin(directory.path("two/app.db"));

    const std::string answer = http_get(url, "/stream?path=/app.db");

    CHECK(status_of(answer) == 409);
    CHECK(contains(answer, "several databases here are called app.db; give the absolute path of one"));
    StreamProbe stream(url, path);
    CHECK(status_of(stream.probe.read_until("\r\n\r\n")) == 200);
}

TEST_CASE_FIXTURE(Fixture, "only the databases that the options name are served") {
    sql("CREATE TABLE t(a)");
    const std::string other = directory.path("other.db");
    const std::string url =
        serve("127.0.0.1:0", "{\"databases\":[\"" + directory.path("./other.db") + "\"]}");

    CHECK(status("journal_mode") == "delete");
    CHECK(status_of(http_get(url, "/stream?path=/app.db")) == 404);
    CHECK(status_of(http_get(url, "/stream?path=/other.db")) == 404);
    Session later(other);
    later("PRAGMA journal_mode=WAL");
    later("CREATE TABLE t(a)");
    REQUIRE(later("SELECT litestream_sync()").size() == 50);
    StreamProbe stream(url, "/other.db");
    CHECK(status_of(stream.probe.read_until("\r\n\r\n")) == 200);
}

TEST_CASE_FIXTURE(Fixture, "a live replica is in the table, in status and in metrics while it is connected") {
    const std::string url = serve_table();
    {
        StreamProbe stream(url, "/app.db");
        stream.probe.read_until("\r\n\r\n");
        REQUIRE(eventually(sql, "SELECT count(*) FROM litestream_streams", "1"));
        CHECK(sql("SELECT database FROM litestream_streams") == path);
        CHECK(status("streams[0].peer").starts_with("127.0.0.1:"));
        CHECK(status("streams[0].protocol") == "litestream");
        CHECK(sql("SELECT connected_at GLOB '2*-*-*T*:*:*.*Z' FROM litestream_streams") == "1");
        CHECK(contains(http_get(url, "/metrics"), "litestream_stream_sent_bytes{db=\"" + path + "\",peer="));
    }
    CHECK(eventually(sql, "SELECT count(*) FROM litestream_streams", "0"));
}

TEST_CASE_FIXTURE(Fixture, "the last close of a database ends its streams, and the server stays") {
    const std::string url = serve_table();
    StreamProbe stream(url, "/app.db");
    stream.probe.read_until("\r\n\r\n");

    sql.close();

    stream.probe.read_all();
    CHECK(status_of(http_get(url, "/stream?path=/app.db")) == 404);
    Session memory(":memory:");
    CHECK(memory("SELECT json_extract(litestream_status(),'$.server.url')") == url);
    CHECK(memory("SELECT litestream_serve_stop()") == "1");
}

}  // namespace
}  // namespace litestream::test
