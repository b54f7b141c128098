#include <doctest/doctest.h>

#include <chrono>
#include <future>

#include "tests/ext/ext_host.h"

namespace litestream::test {
namespace {

using namespace std::chrono_literals;

// Runs `sql`, which would wait for a long time, and interrupts it until it gives up.
std::string interrupt(Session& session, const std::string& sql) {
    auto result = std::async(std::launch::async, [&] { return session(sql); });
    while (result.wait_for(20ms) != std::future_status::ready) sqlite3_interrupt(session.get());
    return result.get();
}

TEST_CASE("a daemon that runs for ever ends when it is interrupted") {
    const TempDirectory directory;
    Session sql(directory.path("app.db"));

    const std::string result = interrupt(sql, "SELECT litestream_run()");

    CHECK(contains(result, "interrupted"));
    CHECK(sql.code() == SQLITE_INTERRUPT);
    CHECK(sql("SELECT 1") == "1");
}

TEST_CASE("a daemon with a time limit returns 0 when it is over") {
    Session sql(":memory:");

    const std::string result = sql("SELECT litestream_run(0.01)");

    CHECK(result == "0");
}

TEST_CASE("waiting for a position that may come for days can be interrupted") {
    const TempDirectory directory;
    Session sql(directory.path("app.db"));
    REQUIRE_FALSE(contains(
        sql("SELECT litestream_replicate(" + sql_text("file://" + directory.path("b")) + ")"), "error"));
    const std::string generation = sql("SELECT generation FROM litestream_databases");

    const std::string result = interrupt(
        sql, "SELECT litestream_wait('" + generation + "/0000000000000009:0000000000000000','48h')");

    CHECK(contains(result, "interrupted"));
    CHECK(sql.code() == SQLITE_INTERRUPT);
}

}  // namespace
}  // namespace litestream::test
