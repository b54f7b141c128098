// Capture in the corners of SQLite's WAL: frames without checksums, ATTACH, the backup API, a damaged store,
// threads.
#include <doctest/doctest.h>

#include <fcntl.h>

#include <filesystem>
#include <thread>

#include "shared/format/frame_chain.h"
#include "shared/format/path.h"
#include "tests/support/sqlite_host.h"
#include "vfs/capture.h"
#include "vfs/registry.h"
#include "vfs/wal_reader.h"

using namespace litestream;
using namespace litestream::test;

namespace {

std::shared_ptr<Database> captured(const std::string& path) {
    auto database = host_registry().find(path);
    REQUIRE(database);
    REQUIRE_MESSAGE(database->wait_captured(30'000), database->capture_error());
    return database;
}

struct Fixture {
    TempDirectory directory;
    std::string path = directory.path("app.db");
};

// All commits in the local segments, whose chain is verified index by index.
std::uint64_t count_stored_commits(SegmentStore& store) {
    std::uint64_t commits = 0;
    Position at{store.generation(), 0, 0};
    for (std::vector<SegmentRef> batch; !(batch = store.segments_after(at, 1u << 20)).empty();
         at = batch.back().end_position()) {
        for (const SegmentRef& segment : batch) {
            auto file = File::open(store.file_of(segment), O_RDONLY);
            REQUIRE(file);
            FileSource source(*std::move(file));
            const auto trailer = read_payload(source, [](ByteView) { return Status(); });
            REQUIRE(trailer);
            commits += (*trailer)->commits.size();
        }
    }
    return commits;
}

// The chain of one index as stored, from header to end.
Status verify_stored_index(SegmentStore& store, std::uint64_t index) {
    FrameChain chain([](const FrameChain::Frame&) { return Status(); });
    const auto feed = [&](const std::string& path) -> Status {
        LITESTREAM_ASSIGN(File file, File::open(path, O_RDONLY));
        FileSource source(std::move(file));
        auto read = read_payload(source, [&](ByteView bytes) { return chain.feed(bytes); });
        return read ? Status() : Status(std::move(read).error());
    };
    const auto segments = store.segments_after({store.generation(), index, 0}, 1u << 30);
    if (segments.empty()) return corrupt("no segments");
    LITESTREAM_TRY(feed(store.header_file_of(segments.front())));
    for (const SegmentRef& segment : segments) LITESTREAM_TRY(feed(store.file_of(segment)));
    return chain.finish();
}

bool has_broken_frame(const std::string& wal_path, std::uint32_t page_size) {
    const auto bytes = read_file(wal_path, 64u << 20);
    REQUIRE(bytes);
    FrameChain chain([](const FrameChain::Frame&) { return Status(); });
    const std::size_t whole =
        wal_size((bytes->size() - kWalHeaderSize) / (kFrameHeaderSize + page_size), page_size);
    return !chain.feed(ByteView(*bytes).first(whole)).has_value();
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "frames that SQLite commits without a checksum are framed anew") {
    Connection connection(path);
    connection.exec(
        "PRAGMA page_size=1024; PRAGMA journal_mode=WAL; PRAGMA cache_size=5;"
        "PRAGMA wal_autocheckpoint=0; CREATE TABLE t(id INTEGER PRIMARY KEY, b)");
    const auto insert = [](int first, int last) {
        return "WITH RECURSIVE n(i) AS (SELECT " + std::to_string(first) +
               " UNION ALL SELECT i+1 FROM n WHERE i<" + std::to_string(last) +
               ") INSERT INTO t SELECT i, randomblob(900) FROM n;";
    };
    // Spilled frames are overwritten behind the savepoint, rolled back to it, and written once more.
    connection.exec("BEGIN;" + insert(1, 5) + "SAVEPOINT s;" + insert(6, 60) +
                    "UPDATE t SET b=randomblob(900) WHERE id BETWEEN 40 AND 45;" + insert(61, 90) +
                    "ROLLBACK TO s;" + insert(6, 30) + "COMMIT; INSERT INTO t VALUES(1000,'last')");

    const auto database = captured(path);

    // SQLite 3.50.2 and later leave no such frame; then this only shows that an ordinary WAL is captured.
    if (sqlite3_libversion_number() < 3050002) CHECK(has_broken_frame(path + "-wal", 1024));
    CHECK_MESSAGE(verify_stored_index(database->store(), 0), "the stored chain verifies");
    CHECK(database->capture_error().empty());
}

TEST_CASE_FIXTURE(Fixture, "attached databases are captured each on its own") {
    const std::string other = directory.path("other.db");
    Connection connection(path);
    connection.exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a); ATTACH '" + other +
                    "' AS other;"
                    "PRAGMA other.journal_mode=WAL; CREATE TABLE other.u(b)");

    connection.exec("BEGIN; INSERT INTO t VALUES(1); INSERT INTO u VALUES(2); COMMIT");

    CHECK(count_stored_commits(captured(path)->store()) == 2);
    CHECK(count_stored_commits(captured(other)->store()) == 2);
    CHECK(captured(path)->store().generation() != captured(other)->store().generation());
}

TEST_CASE_FIXTURE(Fixture, "what the backup API writes into a database is captured") {
    Connection source(":memory:");
    source.exec("CREATE TABLE t(a); INSERT INTO t VALUES(randomblob(100000))");
    Connection connection(path);
    connection.exec("PRAGMA journal_mode=WAL; CREATE TABLE old(a)");
    const Position before = captured(path)->store().end();

    sqlite3_backup* backup = sqlite3_backup_init(connection.get(), "main", source.get(), "main");
    REQUIRE(backup != nullptr);
    CHECK(sqlite3_backup_step(backup, -1) == SQLITE_DONE);
    CHECK(sqlite3_backup_finish(backup) == SQLITE_OK);

    const Position after = captured(path)->store().end();
    CHECK(after.generation == before.generation);
    CHECK(after.offset > before.offset + 100000);
}

TEST_CASE_FIXTURE(Fixture, "a tail that power loss damaged is captured again from the WAL") {
    Position end;
    std::string last_file;
    {
        Connection keeps_wal(path, "unix");  // the WAL stays when ours closes
        {
            Connection connection(path);
            connection.exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)");
            captured(path);
            connection.exec("INSERT INTO t VALUES(2)");
            keeps_wal.text("SELECT count(*) FROM t");
            SegmentStore& store = captured(path)->store();
            end = store.end();
            const auto segments = store.segments_after({end.generation, 0, 0}, 1u << 30);
            last_file = store.file_of(segments.back());
        }
        std::filesystem::resize_file(last_file, 20);

        Connection connection(path);
        connection.exec("SELECT count(*) FROM t");

        CHECK(captured(path)->store().end() == end);
        CHECK_MESSAGE(verify_stored_index(captured(path)->store(), 0), "the stored chain verifies");
    }
}

TEST_CASE_FIXTURE(Fixture, "a store that lost more than a replica may have begins a generation") {
    Connection keeps_wal(path, "unix");
    Position end;
    {
        Connection connection(path);
        connection.exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)");
        keeps_wal.text("SELECT count(*) FROM t");
        end = captured(path)->store().end();
        Position further = end;
        further.offset += 4120;
        REQUIRE(captured(path)->store().promise("r", further));
    }

    Connection connection(path);
    connection.exec("SELECT count(*) FROM t");

    CHECK(captured(path)->store().generation() != end.generation);
    CHECK(captured(path)->store().generation_reason() ==
          "a replica has commits that are not here any more (power loss)");
}

TEST_CASE_FIXTURE(Fixture, "a close that capture could not keep up with is no clean close") {
    std::string first;
    {
        Connection connection(path);
        connection.exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a)");
        const auto database = captured(path);
        first = database->store().generation();
        const std::string wal = database->store().path() + "/" + index_path(first, 0);
        std::filesystem::rename(wal, wal + "-away");
        REQUIRE(write_file_atomically(wal, as_bytes("in the way"), 0600));
        database->set_gate_limit(1);
        connection.exec("INSERT INTO t VALUES(1)");
        connection.close();
        std::filesystem::remove(wal);
        std::filesystem::rename(wal + "-away", wal);
    }
    REQUIRE_FALSE(file_exists(path + "-wal"));

    Connection connection(path);
    connection.exec("INSERT INTO t VALUES(2)");

    CHECK(captured(path)->store().generation() != first);
}

TEST_CASE_FIXTURE(Fixture, "while capture is behind, the WAL keeps its frames and commits go on") {
    Connection connection(path);
    connection.exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a)");
    const auto database = captured(path);
    const std::string generation = database->store().generation();
    const std::string wal = database->store().path() + "/" + index_path(generation, 0);
    std::filesystem::rename(wal, wal + "-away");
    REQUIRE(write_file_atomically(wal, as_bytes("in the way"), 0600));

    connection.exec("INSERT INTO t VALUES(1); PRAGMA wal_checkpoint");
    const std::uint32_t frames = database->wal_index_header()->frame_count;
    connection.exec("INSERT INTO t VALUES(2)");
    sqlite3_busy_timeout(connection.get(), 0);
    const int truncated = std::stoi(connection.text("PRAGMA wal_checkpoint(TRUNCATE)"));

    CHECK(database->wal_index_header()->frame_count > frames);
    CHECK(truncated == 1);  // busy
    CHECK_FALSE(database->capture_error().empty());
    std::filesystem::remove(wal);
    std::filesystem::rename(wal + "-away", wal);
    CHECK(count_stored_commits(captured(path)->store()) == 3);
    CHECK(database->store().generation() == generation);
    CHECK(database->capture_error().empty());
}

TEST_CASE_FIXTURE(Fixture, "many threads and a checkpointer lose no commit and begin no generation") {
    constexpr int kWriters = 4;
    constexpr int kCommits = 150;
    Connection connection(path);
    connection.exec("PRAGMA journal_mode=WAL; CREATE TABLE t(writer, n)");
    const std::string generation = captured(path)->store().generation();

    std::vector<std::thread> threads;
    for (int writer = 0; writer < kWriters; ++writer) {
        threads.emplace_back([this, writer] {
            Connection own(path);
            own.exec("PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=20");
            for (int n = 0; n < kCommits; ++n) {
                own.exec("INSERT INTO t VALUES(" + std::to_string(writer) + "," + std::to_string(n) + ")");
            }
        });
    }
    threads.emplace_back([this] {
        Connection own(path);
        for (int i = 0; i < 40; ++i) {
            own.try_exec(i % 2 ? "PRAGMA wal_checkpoint(RESTART)" : "PRAGMA wal_checkpoint(TRUNCATE)");
        }
    });
    for (std::thread& thread : threads) thread.join();

    SegmentStore& store = captured(path)->store();
    CHECK(store.generation() == generation);
    CHECK(count_stored_commits(store) == kWriters * kCommits + 1);
}

TEST_CASE_FIXTURE(Fixture, "databases opened and closed by many threads at once come and go cleanly") {
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([this, thread] {
            for (int i = 0; i < 15; ++i) {
                const std::string own = directory.path("db" + std::to_string((thread + i) % 3));
                Connection connection(own);
                connection.exec(
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
                    "CREATE TABLE IF NOT EXISTS t(a); INSERT INTO t VALUES(1)");
            }
        });
    }
    for (std::thread& thread : threads) thread.join();

    CHECK(host_registry().all().empty());
    int rows = 0;
    for (int i = 0; i < 3; ++i) {
        Connection connection(directory.path("db" + std::to_string(i)), "unix");
        rows += std::stoi(connection.text("SELECT count(*) FROM t"));
    }
    CHECK(rows == 60);
}
