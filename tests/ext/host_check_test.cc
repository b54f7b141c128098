#include "ext/host_check.h"

#include <doctest/doctest.h>

#include "tests/ext/ext_host.h"

namespace litestream::test {
namespace {

struct Fixture {
    TempDirectory directory;
    std::string path = directory.path("a name with spaces, 50% of them; 'odd'?#&.db");

    Fixture() {
        Session sql(":memory:");
        sql("CREATE TABLE t(a)");
        sql("CREATE INDEX i ON t(a)");
        sql("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x<20000) INSERT INTO t "
            "SELECT "
            "x FROM n");
        REQUIRE(sql("VACUUM INTO " + sql_text(path)) == "NULL");
    }
};

TEST_CASE_FIXTURE(Fixture, "a sound database passes, whatever its name") {
    const auto status = quick_check(path, nullptr);

    CHECK_MESSAGE(status, status.error().message);
}

TEST_CASE_FIXTURE(Fixture, "a database that says WAL passes without a WAL, and leaves no file beside it") {
    std::string bytes = read_text(path);
    bytes[18] = bytes[19] = 2;
    write_text(path, bytes);

    const auto status = quick_check(path, nullptr);

    CHECK_MESSAGE(status, status.error().message);
    CHECK(read_text(path + "-shm").empty());
}

TEST_CASE_FIXTURE(Fixture, "a damaged page is corruption, with SQLite's own complaint") {
    std::string bytes = read_text(path);
    bytes.replace(4096, 64, std::string(64, '\xAA'));
    write_text(path, bytes);

    const auto status = quick_check(path, nullptr);

    REQUIRE_FALSE(status);
    CHECK(status.error().code == ErrorCode::kCorrupt);
    CHECK(contains(status.error().message, "quick_check: "));
}

TEST_CASE_FIXTURE(Fixture, "a check can be stopped") {
    const auto status = quick_check(path, [] { return true; });

    REQUIRE_FALSE(status);
    CHECK(status.error().code == ErrorCode::kInterrupt);
}

TEST_CASE_FIXTURE(Fixture, "a file that is no database is refused") {
    write_text(path, std::string(8192, 'x'));

    const auto status = quick_check(path, nullptr);

    REQUIRE_FALSE(status);
    CHECK(status.error().code == ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace litestream::test
