// What status and metrics say of a replica in a bucket, and of one that is not.
#include "ext/status.h"

#include <doctest/doctest.h>

#include "shared/base/clock.h"
#include "tests/ext/ext_host.h"
#include "tests/ext/http_probe.h"
#include "tests/support/variable.h"

namespace litestream::test {
namespace {

struct Fixture {
    TempDirectory directory;
    std::string path = directory.path("app.db");
    Session sql{path};
    std::string server;

    Fixture() {
        sql("PRAGMA journal_mode=WAL");
        sql("CREATE TABLE t(a)");
        server = sql("SELECT litestream_serve('127.0.0.1:0')");
    }
    ~Fixture() { sql("SELECT litestream_serve_stop()"); }

    void replicate(const std::string& url) {
        REQUIRE(sql("SELECT litestream_replicate(" + sql_text(url) + ",'{\"name\":\"r\"}')") == "r");
    }
    std::string replica(const std::string& key) {
        return sql("SELECT json_extract(litestream_status(),'$.replicas[0]." + key + "')");
    }
    std::string metrics() { return http_get(server, "/metrics"); }
};

}  // namespace

// Our own server is a store that has nothing and takes nothing.
TEST_CASE_FIXTURE(Fixture, "requests to a bucket are shown by kind, and counted by the metrics") {
    const Variable id("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    const Variable secret("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI");
    replicate("s3://bucket/app?endpoint=" + server);

    CHECK(eventually(sql, "SELECT json_extract(litestream_status(),'$.replicas[0].requests.get')>0", "1"));

    CHECK(sql("SELECT group_concat(key) FROM json_each(litestream_status(),'$.replicas[0].requests')") ==
          "delete,get,head,list,put");
    CHECK(replica("requests.put") == "0");
    CHECK(replica("note") == "NULL");
    CHECK(contains(metrics(),
                   "litestream_replica_requests_total{db=\"" + path + "\",name=\"r\",kind=\"put\"} 0\n"));
    CHECK_FALSE(contains(sql("SELECT litestream_status()"), "AKIDEXAMPLE"));
}

TEST_CASE_FIXTURE(Fixture, "a directory counts no requests, and its bytes of WAL") {
    replicate("file://" + directory.path("replica"));
    sql("INSERT INTO t VALUES(1)");
    REQUIRE(sql("SELECT litestream_sync()").size() == 50);

    CHECK(replica("requests") == "{}");
    CHECK(replica("note") == "NULL");
    const std::string text = metrics();
    CHECK_FALSE(contains(text, "litestream_replica_requests_total"));
    const std::string offset = sql("SELECT json_extract(litestream_status(),'$.position')").substr(34);
    CHECK(contains(text, "litestream_replica_wal_bytes{db=\"" + path + "\",name=\"r\"} " +
                             std::to_string(std::stoul(offset, nullptr, 16)) + "\n"));
}

TEST_CASE("a replica that has everything is not behind because its old files cannot be removed") {
    ReplicatorStatus replica;
    replica.position = {"00000000000000a1", 0, 32};
    replica.synced_ms = wall_clock_ms() - 5000;
    replica.state = "ok";
    replica.last_error = "removing old files: refused";
    CHECK(*lag_seconds(replica) == 0);

    replica.state = "retrying";

    CHECK(*lag_seconds(replica) >= 5);
}

}  // namespace litestream::test
