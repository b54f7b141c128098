// Capture through the VFS: what ends up in the meta directory, and when a generation goes on.
#include <doctest/doctest.h>

#include "tests/support/sqlite_host.h"
#include "vfs/capture.h"
#include "vfs/registry.h"

using namespace litestream;
using namespace litestream::test;

namespace {

// The database as opened by this process; capture has everything that was committed.
std::shared_ptr<Database> captured(const std::string& path) {
    auto database = host_registry().find(path);
    REQUIRE(database);
    REQUIRE_MESSAGE(database->wait_captured(10'000), database->capture_error());
    return database;
}

std::string reason(const std::string& path) { return captured(path)->store().generation_reason(); }
std::string generation(const std::string& path) { return captured(path)->store().generation(); }

struct Fixture {
    TempDirectory directory;
    std::string path = directory.path("app.db");
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a commit moves the position by its frames") {
    Connection connection(path);
    connection.exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a)");
    const Position before = captured(path)->store().end();

    connection.exec("INSERT INTO t VALUES(1)");

    const Position after = captured(path)->store().end();
    CHECK(after.generation == before.generation);
    CHECK(after.index == before.index);
    CHECK(after.offset == before.offset + kFrameHeaderSize + 4096);
}

TEST_CASE_FIXTURE(Fixture, "the first segment of an index is its header in 51 bytes") {
    Connection connection(path);
    connection.exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a)");
    const auto database = captured(path);

    const std::string name = database->store().path() + "/generations/" + database->store().generation() +
                             "/wal/0000000000000000/0000000000000000.wal.lz4";
    const auto bytes = read_file(name, 1000);

    REQUIRE(bytes);
    CHECK(bytes->size() == 51);
    CHECK(Bytes(bytes->begin(), bytes->begin() + 7) == Bytes{0x04, 0x22, 0x4d, 0x18, 0x64, 0x70, 0xb9});
}

TEST_CASE_FIXTURE(Fixture, "a WAL restart begins the next index of the same generation") {
    Connection connection(path);
    connection.exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a)");
    const Position before = captured(path)->store().end();

    for (const char* mode : {"PASSIVE", "FULL", "RESTART", "TRUNCATE"}) {
        connection.exec("INSERT INTO t VALUES(1)");
        captured(path);
        connection.exec(std::string("PRAGMA wal_checkpoint(") + mode + ")");
        connection.exec("INSERT INTO t VALUES(2)");
    }

    const Position after = captured(path)->store().end();
    CHECK(after.generation == before.generation);
    CHECK(after.index == 4);
}

TEST_CASE_FIXTURE(Fixture, "a checkpoint without a new commit leaves the position") {
    Connection connection(path);
    connection.exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)");
    const Position before = captured(path)->store().end();

    connection.exec("PRAGMA wal_checkpoint(TRUNCATE)");

    CHECK(captured(path)->store().end() == before);
}

TEST_CASE_FIXTURE(Fixture, "after a clean close the generation goes on with the next index") {
    std::string first;
    {
        Connection connection(path);
        connection.exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a)");
        first = generation(path);
    }
    for (std::uint64_t round = 1; round <= 3; ++round) {
        Connection connection(path);
        connection.exec("INSERT INTO t VALUES(1)");
        const auto database = captured(path);
        CHECK(database->store().generation() == first);
        CHECK(database->store().end().index == round);
    }
}

TEST_CASE_FIXTURE(Fixture, "a foreign write between two clean closes begins a generation and says why") {
    std::string first;
    {
        Connection connection(path);
        connection.exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a)");
        first = generation(path);
    }
    Connection(path, "unix").exec("INSERT INTO t VALUES(1)");

    Connection connection(path);
    connection.exec("INSERT INTO t VALUES(2)");

    CHECK(generation(path) != first);
    CHECK(reason(path) == "the WAL is gone and the database file is not as a clean close left it");
}

TEST_CASE_FIXTURE(Fixture, "commits of another VFS in the same process are captured too") {
    Connection connection(path);
    connection.exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a)");
    const Position before = captured(path)->store().end();

    Connection(path, "unix").exec("INSERT INTO t VALUES(1)");

    const Position after = captured(path)->store().end();
    CHECK(after.generation == before.generation);
    CHECK(before.before(after));
}

TEST_CASE_FIXTURE(Fixture, "a database not in WAL mode is not captured") {
    Connection connection(path);
    connection.exec("CREATE TABLE t(a); INSERT INTO t VALUES(1)");

    const auto database = host_registry().find(path);

    REQUIRE(database);
    CHECK_FALSE(database->is_mapped());
    CHECK_FALSE(file_exists(database->store().path()));
}
