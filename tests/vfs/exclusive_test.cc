// Exclusive locking mode: entered after the first use of the WAL (the wal-index stays, without locks) and
// before it (the wal-index is SQLite's own).
#include <fcntl.h>

#include <filesystem>

#include "tests/vfs/replicated.h"

using namespace litestream;
using namespace litestream::test;

namespace {

constexpr const char* kHeap = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;";
constexpr const char* kShared =
    "PRAGMA journal_mode=WAL; SELECT count(*) FROM sqlite_master; PRAGMA locking_mode=EXCLUSIVE;";

std::string rows(int count) {
    return "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<" + std::to_string(count) +
           ") INSERT INTO t(b) SELECT randomblob(900) FROM n;";
}

// A database in exclusive mode, with its first table.
struct Exclusive : Replicated {
    std::unique_ptr<Connection> connection;

    void open(const char* mode) {
        connection = std::make_unique<Connection>(path);
        connection->exec(mode);
        connection->exec("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, b); SELECT count(*) FROM t");
    }
    ~Exclusive() { stop_replicating(); }
};

ExclusiveWal::Kind kind_of(const char* mode) {
    return mode == kHeap ? ExclusiveWal::Kind::kHeap : ExclusiveWal::Kind::kShared;
}

}  // namespace

TEST_CASE_FIXTURE(Exclusive, "commits of an exclusive handle are captured one by one") {
    for (const char* mode : {kHeap, kShared}) {
        CAPTURE(mode);
        path = directory.path(mode == kHeap ? "heap.db" : "shared.db");
        open(mode);
        CHECK(captured()->exclusive().kind() == kind_of(mode));
        const Position before = store().end();

        connection->exec(rows(1));
        const Position first = store().end();
        connection->exec("BEGIN;" + rows(2) + "ROLLBACK;" + "BEGIN IMMEDIATE; COMMIT");
        CHECK(store().end() == first);
        connection->exec(rows(1));

        CHECK(before.before(first));
        CHECK(first.before(store().end()));
        CHECK(store().end().generation == before.generation);
        CHECK(reason() == "no generation exists");
        connection.reset();
    }
}

TEST_CASE_FIXTURE(Exclusive,
                  "an exclusive handle's spills, rollbacks and checkpoints restore at every position") {
    for (const char* mode : {kHeap, kShared}) {
        CAPTURE(mode);
        path = directory.path(mode == kHeap ? "heap.db" : "shared.db");
        std::filesystem::remove_all(directory.path("replica"));
        open(mode);
        connection->exec(
            "PRAGMA cache_size=5; PRAGMA wal_autocheckpoint=30; PRAGMA journal_size_limit=50000");
        replicate();
        flush();
        const std::string first_generation = generation();
        std::vector<std::pair<std::string, std::string>> dumps;
        const std::string steps[] = {
            rows(3),
            "BEGIN;" + rows(60) + "UPDATE t SET b=randomblob(900) WHERE id%3=1; COMMIT",
            "BEGIN;" + rows(90) + "UPDATE t SET b='' WHERE id%2; ROLLBACK",
            rows(1),
            "BEGIN;" + rows(20) + "SAVEPOINT s;" + rows(50) +
                "UPDATE t SET b=randomblob(800); ROLLBACK TO s;" + rows(5) + "COMMIT",
            "PRAGMA wal_checkpoint(TRUNCATE)",
            rows(2),
            "PRAGMA wal_checkpoint(RESTART)",
            rows(2),
            "VACUUM",
            rows(30),
            rows(30),
            rows(30)};
        for (const std::string& step : steps) {
            connection->exec(step);
            dumps.emplace_back(store().end().to_string(), dump(*connection));
        }
        flush();

        CHECK(generation() == first_generation);
        CHECK(store().end().index > 1);
        for (const auto& [position, expected] : dumps) CHECK(restored(position) == expected);
        stop_replicating();
        connection.reset();
    }
}

TEST_CASE_FIXTURE(Exclusive, "a generation goes on from mode to mode and over closes") {
    open(kShared);
    replicate();
    flush();
    const std::string first = generation();
    for (const char* mode : {kHeap, kShared, "PRAGMA journal_mode=WAL;", kHeap, kHeap}) {
        CAPTURE(mode);
        connection->exec(rows(2));
        flush();
        stop_replicating();
        connection.reset();

        open(mode);
        connection->exec(rows(3));
        replicate();
        flush();

        CHECK(generation() == first);
        CHECK(restored() == dump(*connection));
    }
}

TEST_CASE_FIXTURE(Exclusive, "a handle that leaves exclusive mode is captured by locks again") {
    open(kShared);
    connection->exec(rows(1));
    const std::string first = generation();

    connection->exec("PRAGMA locking_mode=NORMAL; SELECT count(*) FROM t");
    CHECK(captured()->exclusive().kind() == ExclusiveWal::Kind::kNone);
    Connection other(path);
    other.exec(rows(1));
    connection->exec(rows(1));

    CHECK(generation() == first);
    CHECK(captured()->pending_wal_bytes() == 0);
}

TEST_CASE_FIXTURE(Exclusive, "a WAL that a crash left is recovered into the same generation") {
    const std::string live = path;
    open(kShared);
    connection->exec(rows(2));
    captured();
    const std::string crashed = directory.path("crashed");
    std::filesystem::create_directory(crashed);
    for (const char* suffix : {"", "-wal", "-litestream"}) {
        std::filesystem::copy(live + suffix, crashed + "/app.db" + suffix,
                              std::filesystem::copy_options::recursive);
    }
    const Position end = store().end();
    path = crashed + "/app.db";

    Connection recovered(path);
    recovered.exec("PRAGMA locking_mode=EXCLUSIVE; SELECT count(*) FROM t");

    CHECK(captured()->exclusive().kind() == ExclusiveWal::Kind::kHeap);
    CHECK(store().end() == end);
    recovered.exec(rows(1));
    CHECK(store().end().generation == end.generation);
    CHECK(end.before(store().end()));
}

TEST_CASE_FIXTURE(Exclusive, "a snapshot in exclusive mode makes checkpoints wait and stays what it was") {
    for (const char* mode : {kHeap, kShared}) {
        CAPTURE(mode);
        path = directory.path(mode == kHeap ? "heap.db" : "shared.db");
        open(mode);
        connection->exec(rows(50));
        connection->exec("PRAGMA wal_checkpoint; UPDATE t SET b=randomblob(500) WHERE id%5=0");
        captured();
        const std::string expected = dump(*connection);
        const auto database = captured();
        Snapshotter snapshots(*database);
        auto image = snapshots.pin();
        REQUIRE_MESSAGE(image, (image ? "" : image.error().message));

        for (int i = 0; i < 5; ++i) {
            connection->exec("UPDATE t SET b=randomblob(700);" + rows(9) + "PRAGMA wal_checkpoint(TRUNCATE)");
        }
        const std::string copy = directory.path("copy.db");
        auto file = File::open(copy, O_RDWR | O_CREAT | O_TRUNC);
        REQUIRE(file);
        Bytes page((*image)->trailer().page_size);
        for (std::uint32_t page_no = 1; page_no <= (*image)->trailer().page_count; ++page_no) {
            REQUIRE((*image)->read_page(page_no, page));
            REQUIRE(file->write(page));
        }
        CHECK(dump_file(copy) == expected);

        // A close must not wait for the image, nor lose what its checkpoint could not write.
        const std::string last = dump(*connection);
        connection.reset();
        CHECK_FALSE((*image)->read_page(1, page));
        CHECK(dump_file(path) == last);
        image->reset();
    }
}
