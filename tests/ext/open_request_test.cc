// Replicas that a URI or the environment asks for.
#include "ext/open_request.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>

#include "shared/base/file.h"
#include "shared/base/text.h"
#include "tests/ext/ext_host.h"

namespace litestream::test {
namespace {

constexpr const char* kVariable = "LITESTREAM_REPLICA_URL";

class Environment {
  public:
    explicit Environment(const std::string& url) { ::setenv(kVariable, url.c_str(), 1); }
    ~Environment() { ::unsetenv(kVariable); }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;
};

struct Fixture {
    TempDirectory directory;
    std::string path = directory.path("app.db");
    std::string meta = path + "-litestream";
    std::string url = "file://" + directory.path("b");

    std::string uri(const std::string& replica) const {
        return "file:" + path + "?vfs=litestream&replica=" + percent_encode(replica);
    }
    static std::string status(Session& sql, const std::string& key) {
        return sql("SELECT json_extract(litestream_status(),'$." + key + "')");
    }
    static std::string count(Session& sql) { return sql("SELECT count(*) FROM litestream_replicas"); }
    std::string events(Session& sql, const std::string& kind) const {
        return sql("SELECT count(*) FROM litestream_events WHERE database=" + sql_text(path) +
                   " AND kind=" + sql_text(kind));
    }
    std::string restored(Session& sql) const {
        const std::string out = directory.path("restored.db");
        std::filesystem::remove(out);
        const std::string position =
            sql("SELECT litestream_restore(" + sql_text(url) + "," + sql_text(out) + ")");
        if (contains(position, "error")) return position;
        return Session("file:" + out)("SELECT group_concat(a) FROM t");
    }
    void make_wal() const {
        Session sql(path);
        REQUIRE(sql("PRAGMA journal_mode=WAL") == "wal");
        sql("CREATE TABLE t(a)");
    }
};

TEST_CASE_FIXTURE(Fixture, "a replica in the URI is added and remembered") {
    make_wal();
    {
        Session sql(uri(url));
        sql("INSERT INTO t VALUES('one')");
        REQUIRE(sql("SELECT litestream_sync()").size() == 50);
        CHECK(sql("SELECT name||' '||url FROM litestream_replicas") == "file " + url);
        CHECK(restored(sql) == "one");
    }
    Session sql(path);

    CHECK(count(sql) == "1");
}

TEST_CASE_FIXTURE(Fixture, "opening again, also by several connections, adds no second replica") {
    make_wal();
    Session first(uri(url));
    Session second(uri(url + "/"));
    second("INSERT INTO t VALUES(1)");
    first("SELECT litestream_sync()");

    CHECK(second("SELECT litestream_sync()").size() == 50);
    CHECK(count(first) == "1");
    CHECK(first("SELECT litestream_replicate(" + sql_text(url) + ")") == "file");
    CHECK(events(first, "replica_started") == "1");
}

TEST_CASE_FIXTURE(Fixture, "what was set up with options is not changed by a URI without them") {
    {
        Session sql(path);
        sql("SELECT litestream_replicate(" + sql_text(url) + ",'{\"name\":\"kept\",\"sync_interval\":7}')");
    }

    Session sql(uri(url));
    sql("CREATE TABLE t(a)");
    sql("SELECT litestream_sync()");

    CHECK(sql("SELECT name FROM litestream_replicas") == "kept");
    CHECK(contains(read_text(meta + "/replicas.json"), "\"sync_interval\": \"7s\""));
    CHECK(status(sql, "why") == "NULL");
}

TEST_CASE_FIXTURE(Fixture, "options stand in the query of the URL") {
    make_wal();
    Session sql(uri(url + "?name=second&sync_interval=20ms"));
    sql("INSERT INTO t VALUES(1)");

    CHECK(sql("SELECT litestream_sync()").size() == 50);
    CHECK(sql("SELECT name FROM litestream_replicas") == "second");
    CHECK(contains(read_text(meta + "/replicas.json"), "\"sync_interval\": \"20ms\""));
}

TEST_CASE_FIXTURE(Fixture,
                  "a rollback-journal database stays one, and is replicated once it is a WAL database") {
    Session sql(uri(url));
    sql("CREATE TABLE t(a)");

    CHECK(sql("PRAGMA journal_mode") == "delete");
    CHECK(contains(status(sql, "why"), "main has journal_mode delete: only a WAL database is captured"));
    CHECK(count(sql) == "0");
    CHECK_FALSE(file_exists(meta));

    REQUIRE(sql("PRAGMA journal_mode=WAL") == "wal");
    sql("INSERT INTO t VALUES('two')");
    REQUIRE(sql("SELECT litestream_sync()").size() == 50);
    CHECK(restored(sql) == "two");
}

TEST_CASE_FIXTURE(Fixture, "a process that ends right away leaves the replica to the next one") {
    make_wal();
    {
        Session sql(uri(url));
        sql("INSERT INTO t VALUES('three')");
    }
    Session sql(path);

    CHECK(sql("SELECT litestream_sync()").size() == 50);
    CHECK(restored(sql) == "three");
}

TEST_CASE_FIXTURE(Fixture, "a URL that makes no sense fails no open: status and events tell") {
    make_wal();
    Session sql(uri("ftp://host/x"));
    sql("INSERT INTO t VALUES(1)");

    CHECK(sql("SELECT litestream_sync()").size() == 50);
    CHECK(contains(status(sql, "why"), "ftp://host/x: unknown scheme \"ftp\""));
    CHECK(count(sql) == "0");
    CHECK(events(sql, "replica_refused") == "1");
}

TEST_CASE_FIXTURE(Fixture, "the database's own meta directory is no place for a replica") {
    make_wal();
    Session sql(uri("file://" + meta + "/b"));
    sql("SELECT litestream_sync()");

    CHECK(contains(status(sql, "why"), "is the database's own meta directory; choose another"));
}

TEST_CASE_FIXTURE(Fixture, "a directory that cannot be written yet is tried until it can") {
    write_text(directory.path("b"), "in the way");
    make_wal();
    Session sql(uri(url));
    sql("INSERT INTO t VALUES('four')");
    REQUIRE(contains(sql("SELECT litestream_sync(0.3)"), "replica \"file\" (" + url + ") is late"));
    REQUIRE(events(sql, "replica_error") != "0");

    std::filesystem::remove(directory.path("b"));
    REQUIRE(sql("SELECT litestream_sync()").size() == 50);

    CHECK(restored(sql) == "four");
    const std::string recovered =
        "SELECT count(*) FROM litestream_events WHERE kind='replica_recovered' AND database=";
    CHECK(eventually(sql, recovered + sql_text(path), "1"));
}

TEST_CASE_FIXTURE(Fixture, "a replica in the URI has a database captured that is ours by default only") {
    make_wal();
    std::filesystem::remove_all(meta);
    Session switcher(":memory:");
    switcher("SELECT litestream_set_default_vfs(1)");
    Session sql("file:" + path + "?replica=" + percent_encode(url));
    switcher("SELECT litestream_set_default_vfs(0)");
    sql("INSERT INTO t VALUES('five')");

    CHECK(sql("SELECT litestream_sync()").size() == 50);
    CHECK(restored(sql) == "five");
}

TEST_CASE_FIXTURE(Fixture, "the environment names a replica for every database by its file name") {
    const Environment environment("file://" + directory.path("all/{name}"));
    Session first(path);
    Session second(directory.path("other 50%.db"));
    for (Session* sql : {&first, &second}) {
        (*sql)("PRAGMA journal_mode=WAL");
        (*sql)("CREATE TABLE t(a)");
        CHECK((*sql)("SELECT litestream_sync()").size() == 50);
    }

    CHECK(file_exists(directory.path("all/app.db/generations")));
    CHECK(file_exists(directory.path("all/other 50%.db/generations")));
}

using FileName = std::unique_ptr<const char, void (*)(const char*)>;

FileName file_name(const char* path, const char* replica = nullptr) {
    const char* parameters[] = {"replica", replica};
    return {sqlite3_create_filename(path, "", "", replica == nullptr ? 0 : 1, parameters),
            [](const char* name) { sqlite3_free_filename(name); }};
}

TEST_CASE("a URL without a name in it is the first database's only") {
    const Session loaded(":memory:");
    OpenRequests requests;
    const Environment environment("file:///backup");
    const auto first = file_name("/data/app.db");
    const auto second = file_name("/data/other.db");

    CHECK(requests.replica_of(first.get()) == "file:///backup");
    CHECK(requests.replica_of(second.get()) == std::nullopt);
    CHECK(requests.replica_of(first.get()) == "file:///backup");
}

TEST_CASE("the URI speaks louder than the environment, and an empty variable says nothing") {
    const Session loaded(":memory:");
    OpenRequests requests;
    const auto in_uri = file_name("/data/app.db", "s3://bucket/app");
    const auto plain = file_name("/data/app.db");
    {
        const Environment environment("file:///backup/{name}/{name}");
        CHECK(requests.replica_of(in_uri.get()) == "s3://bucket/app");
        CHECK(requests.replica_of(plain.get()) == "file:///backup/app.db/app.db");
    }
    const Environment environment("");
    CHECK(requests.replica_of(plain.get()) == std::nullopt);
}

}  // namespace
}  // namespace litestream::test
