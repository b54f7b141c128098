// litestream_validate and the validation that comes by itself.
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
    std::string replica = directory.path("b");
    std::string url = "file://" + replica;
    Session sql{path};

    void replicate(const std::string& options = "{}") {
        sql("CREATE TABLE t(a)");
        REQUIRE(sql("SELECT litestream_replicate(" + sql_text(url) + "," + sql_text(options) + ")") ==
                "file (journal_mode is now wal)");
        sql("INSERT INTO t VALUES(zeroblob(20000))");
        REQUIRE(sql("SELECT litestream_sync()").size() == 50);
    }
    std::string validate(const std::string& key, const std::string& more = "") {
        return sql("SELECT json_extract(litestream_validate(" + sql_text(url) + more + "),'$." + key + "')");
    }
    std::string events(const std::string& kind) {
        return sql("SELECT group_concat(detail) FROM litestream_events WHERE database=" + sql_text(path) +
                   " AND kind=" + sql_text(kind));
    }
    // The replica's files of a kind, by the end of their names.
    std::vector<std::string> files(const std::string& suffix) const {
        std::vector<std::string> found;
        for (const auto& entry : fs::recursive_directory_iterator(replica)) {
            if (entry.path().string().ends_with(suffix)) found.push_back(entry.path().string());
        }
        return found;
    }
    void damage_snapshot() const {
        const std::string snapshot = files(".snapshot.lz4").at(0);
        std::string bytes = read_text(snapshot);
        bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x55);
        write_text(snapshot, bytes);
    }
    bool has_leftovers() const {
        for (const auto& entry : fs::directory_iterator(directory.path())) {
            if (contains(entry.path().filename().string(), "validate")) return true;
        }
        return false;
    }
};

TEST_CASE_FIXTURE(Fixture, "a replica that restores is compared with its database") {
    replicate();
    sql("INSERT INTO t VALUES('not synced yet')");

    const std::string report = sql("SELECT litestream_validate(" + sql_text(url) + ")");
    const auto value = [&](const std::string& key) {
        return sql("SELECT json_extract(" + sql_text(report) + ",'$." + key + "')");
    };

    CHECK(value("ok") == "1");
    CHECK(value("compared") == "1");
    CHECK(value("not_compared") == "NULL");
    CHECK(value("error") == "NULL");
    CHECK(value("url") == url);
    CHECK(value("position") == sql("SELECT litestream_position()"));
    CHECK(value("pages") == sql("PRAGMA page_count"));
    CHECK(value("snapshots") == "1");
    CHECK_FALSE(has_leftovers());
}

TEST_CASE_FIXTURE(Fixture, "a replica of a database that is not open here is restored only") {
    replicate();
    Session elsewhere(":memory:");

    const std::string report = elsewhere("SELECT litestream_validate(" + sql_text(url) + ")");

    CHECK(contains(report, "\"ok\": true"));
    CHECK(contains(report, "\"compared\": false"));
    CHECK(contains(report, "the database that is replicated there is not open here"));
}

TEST_CASE_FIXTURE(Fixture, "an earlier position can be validated") {
    replicate();
    const std::string then = sql("SELECT litestream_position()");
    sql("INSERT INTO t VALUES('later')");
    sql("SELECT litestream_sync()");
    const std::string options = "," + sql_text("{\"position\":\"" + then + "\"}");

    CHECK(validate("ok", options) == "1");
    CHECK(validate("position", options) == then);
    CHECK(validate("compared", options) == "0");
}

TEST_CASE_FIXTURE(Fixture, "damage is reported by name, and leaves no file") {
    replicate();
    damage_snapshot();

    CHECK(validate("ok") == "0");
    CHECK(contains(validate("error"), ".snapshot.lz4"));
    CHECK(validate("not_compared") == "NULL");
    CHECK_FALSE(has_leftovers());
}

TEST_CASE_FIXTURE(Fixture, "a page that differs from the live database is found") {
    replicate();
    sql("PRAGMA wal_checkpoint(TRUNCATE)");
    REQUIRE(sql("SELECT litestream_sync()").size() == 50);
    // Behind everybody's back, where no capture sees it: the middle of the blob.
    std::string bytes = read_text(path);
    bytes[4 * 4096 + 100] = 'x';
    write_text(path, bytes);

    const std::string report = sql("SELECT litestream_validate(" + sql_text(url) + ")");

    CHECK(contains(report, "\"ok\": false"));
    CHECK(contains(report, "it is not the live database at"));
    CHECK(contains(report, "page 5 differs"));
    CHECK_FALSE(has_leftovers());
}

TEST_CASE_FIXTURE(Fixture, "a replica with nothing in it does not validate") {
    CHECK(validate("ok") == "0");
    CHECK(contains(validate("error"), "holds nothing to restore"));
}

TEST_CASE_FIXTURE(Fixture, "bad arguments are named") {
    CHECK(sql("SELECT litestream_validate(NULL)") == "error: litestream_validate: url must not be NULL");
    CHECK(sql("SELECT litestream_validate('ftp://x/y')") ==
          "error: litestream_validate: ftp://x/y: unknown scheme \"ftp\": accepted are "
          "file:///ABSOLUTE/PATH and s3://BUCKET/PATH");
    CHECK(sql("SELECT litestream_validate('file:///b','{\"when\":1}')") ==
          "error: litestream_validate: unknown option \"when\"; known are position, parallelism");
    CHECK(contains(sql("SELECT litestream_validate('file:///b','{\"position\":\"x\"}')"),
                   "litestream_validate: option \"position\": invalid position \"x\""));
    CHECK(contains(sql("SELECT litestream_validate('file:///b',NULL,'nope')"), "no such schema: nope"));
}

TEST_CASE_FIXTURE(Fixture, "validation_interval validates after commits and tells changes once") {
    replicate("{\"validation_interval\":\"100ms\"}");

    const std::string ok = "SELECT json_extract(litestream_status(),'$.replicas[0].validation.ok')";
    REQUIRE(eventually(sql, ok, "1"));
    damage_snapshot();
    sql("INSERT INTO t VALUES(2)");
    REQUIRE(eventually(sql, ok, "0"));

    CHECK(contains(events("validated"), "file (" + url + "): restores at "));
    CHECK(contains(events("validation_failed"), ".snapshot.lz4"));
    CHECK(contains(read_text(path + "-litestream/replicas.json"), "\"validation_interval\": \"100ms\""));
    CHECK_FALSE(has_leftovers());
}

TEST_CASE_FIXTURE(Fixture, "closing does not wait for a validation to come") {
    replicate("{\"validation_interval\":\"1h\"}");

    CHECK(sql("SELECT json_extract(litestream_status(),'$.replicas[0].validation')") == "NULL");
    sql.close();
}

}  // namespace
}  // namespace litestream::test
