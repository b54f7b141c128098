#include "ext/entry.h"

#include <doctest/doctest.h>

#include "tests/ext/ext_host.h"
#include "vfs/sqlite.h"

namespace litestream::test {
namespace {

TEST_CASE("loading again, also while a statement of ours runs, changes nothing") {
    Session session(":memory:");
    sqlite3_stmt* running = nullptr;
    REQUIRE(sqlite3_prepare_v2(session.get(), "SELECT litestream_version() UNION SELECT 2", -1, &running,
                               nullptr) == SQLITE_OK);
    REQUIRE(sqlite3_step(running) == SQLITE_ROW);

    char* message = nullptr;
    const int code = litestream_init(session.get(), &message, sqlite3_api);

    CHECK(code == SQLITE_OK);
    CHECK(message == nullptr);
    CHECK(sqlite3_step(running) == SQLITE_ROW);
    sqlite3_finalize(running);
}

TEST_CASE("another SQLite in the same process is refused") {
    Session session(":memory:");
    const sqlite3_api_routines* ours = sqlite3_api;
    const sqlite3_api_routines other = *sqlite3_api;

    char* message = nullptr;
    const int code = litestream_init(session.get(), &message, &other);

    CHECK(code == SQLITE_ERROR);
    REQUIRE(message != nullptr);
    CHECK(contains(message, "by another copy of SQLite in this process"));
    CHECK(sqlite3_api == ours);
    sqlite3_free(message);
}

}  // namespace
}  // namespace litestream::test
