// The applier beside stock readers.
#include <atomic>
#include <thread>

#include "shared/base/directory.h"
#include "tests/vfs/followed.h"

using namespace litestream;
using namespace litestream::test;

namespace fs = std::filesystem;

namespace {

void check_same(const SourceState& state, const SourceState& expected) {
    CHECK(state.position == expected.position);
    CHECK(state.header.encode() == expected.header.encode());
    CHECK(state.chain == expected.chain);
    CHECK(state.page_size == expected.page_size);
    CHECK(state.time_ms == expected.time_ms);
    CHECK(state == expected);
}

}  // namespace

TEST_CASE_FIXTURE(Followed, "an empty file becomes the image, and a stock program reads it") {
    make_source();

    follow();

    check_equal();
    CHECK(applier->state().position == Position{kGeneration, 0, 0});
    CHECK(!fs::exists(path + "-journal"));
}

TEST_CASE_FIXTURE(Followed, "commits follow for every page size, over many regions of the wal-index") {
    for (const int page_size : {512, 4096, 65536}) {
        CAPTURE(page_size);
        Followed self;
        self.make_source("PRAGMA page_size=" + std::to_string(page_size));
        self.follow();
        self.write(20);
        self.source->exec(
            "INSERT INTO t(b) WITH RECURSIVE c(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM c WHERE i<9000) "
            "SELECT randomblob(400) FROM c");
        self.write(20);

        require(self.apply());

        self.check_equal();
    }
}

TEST_CASE_FIXTURE(Followed, "spills, savepoints, schema changes, VACUUM and a shrink") {
    make_source("PRAGMA auto_vacuum=INCREMENTAL");
    follow();
    const char* steps[] = {
        "BEGIN; PRAGMA cache_size=5; INSERT INTO t(b) WITH RECURSIVE c(i) AS (VALUES(1) UNION ALL SELECT i+1 "
        "FROM "
        "c WHERE i<3000) SELECT randomblob(900) FROM c; SAVEPOINT a; UPDATE t SET b='x'; ROLLBACK TO a; "
        "COMMIT",
        "CREATE INDEX i ON t(b); CREATE TABLE u(a); INSERT INTO u SELECT id FROM t",
        "DELETE FROM t WHERE id > 100; PRAGMA incremental_vacuum",
        "VACUUM",
        "DROP TABLE u; ALTER TABLE t ADD COLUMN c",
    };
    for (const char* step : steps) {
        CAPTURE(std::string(step));
        source->exec(step);
        require(apply());
        check_equal();
    }
}

TEST_CASE_FIXTURE(Followed, "a commit larger than a batch shows as a whole") {
    make_source();
    follow();
    source->exec(
        "INSERT INTO t(b) WITH RECURSIVE c(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM c WHERE i<30000) "
        "SELECT randomblob(900) FROM c");

    require(apply());

    check_equal();
}

TEST_CASE_FIXTURE(Followed,
                  "a stock reader keeps its snapshot, blocks nothing, and then the WAL is bounded") {
    make_source();
    follow();
    write(1);
    require(apply());
    Connection reader(path, kStock);
    reader.exec("BEGIN");
    const std::string before = dump(reader);

    for (int i = 0; i < 60; ++i) {
        write(1, 500'000);
        require(apply());
    }

    CHECK(dump(reader) == before);
    reader.exec("COMMIT");
    check_equal();
    const auto while_read = fs::file_size(path + "-wal");
    CHECK(while_read > 25'000'000);
    for (int i = 0; i < 60; ++i) {
        write(1, 500'000);
        require(apply());
    }
    CHECK(fs::file_size(path + "-wal") < while_read + 20'000'000);
    check_equal();
}

TEST_CASE_FIXTURE(Followed, "readers at any time see sums that hold, and rows that never go back") {
    make_source();
    source->exec(
        "CREATE TABLE account(id INTEGER PRIMARY KEY, amount); "
        "INSERT INTO account WITH RECURSIVE c(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM c WHERE i<200) "
        "SELECT i, 100 FROM c");
    follow();
    require(apply());
    std::atomic<bool> has_ended = false;
    std::atomic<int> reads = 0;
    std::string violation;
    std::thread reader([&] {
        try {
            int rows = 0;
            Connection connection(path, kStock);
            while (!has_ended) {
                connection.exec("BEGIN");
                const std::string sum = connection.text("SELECT sum(amount) FROM account");
                const int now = std::stoi(connection.text("SELECT count(*) FROM t"));
                if (sum != "20000" || now < rows) violation = sum + " " + std::to_string(now);
                rows = now;
                connection.exec("COMMIT");
                ++reads;
            }
        } catch (const std::exception& error) {
            violation = error.what();
        }
    });

    for (int i = 1; i <= 600 || reads < 50; ++i) {
        source->exec(
            "BEGIN; UPDATE account SET amount = amount - 1 WHERE id = 1 + abs(random()) % 200; "
            "UPDATE account SET amount = 20000 - (SELECT sum(amount) FROM account WHERE id < 200) "
            "WHERE id = 200; INSERT INTO t(b) VALUES(randomblob(300)); COMMIT");
        require(apply());
        if (i % 50 == 0) Connection(path, kStock).exec("PRAGMA wal_checkpoint(TRUNCATE)");
    }
    has_ended = true;
    reader.join();

    CHECK(violation == "");
    check_equal();
}

TEST_CASE_FIXTURE(Followed, "a wal-index that was damaged is built anew, with the commit in it") {
    make_source();
    follow();
    write(1);
    require(apply());
    // Every slot of the hash table is taken.
    sqlite3_file* file = nullptr;
    Connection stock(path, kStock);
    stock.exec("SELECT count(*) FROM t");
    sqlite3_file_control(stock.get(), "main", SQLITE_FCNTL_FILE_POINTER, &file);
    volatile void* region = nullptr;
    REQUIRE(file->pMethods->xShmMap(file, 0, 32768, 0, &region) == SQLITE_OK);
    auto* slots = static_cast<volatile std::uint16_t*>(region) + 8192;
    for (int i = 0; i < 8192; ++i) slots[i] = 1;
    write(1);

    CHECK(!apply());
    applier.reset();
    open_applier();

    CHECK(applier->reset_reason() == "");
    require(apply());
    check_equal();
}

// --- Over restarts ---

TEST_CASE_FIXTURE(Followed, "the applier goes on where it was") {
    make_source();
    follow();
    write(5);
    require(apply());
    const SourceState before = applier->state();

    applier.reset();
    open_applier();

    check_same(applier->state(), before);
    write(5);
    require(apply());
    check_equal();
}

TEST_CASE_FIXTURE(Followed, "closed and opened again: it goes on") {
    make_source();
    follow();
    write(5);
    require(apply());
    const SourceState before = applier->state();
    host->exec("SELECT count(*) FROM t");
    applier.reset();
    host.reset();
    CHECK(!fs::exists(path + "-wal"));

    open_host();
    open_applier();

    check_same(applier->state(), before);
    write(5);
    require(apply());
    check_equal();
}

TEST_CASE_FIXTURE(Followed, "closed by an application that never read, and opened again: it goes on") {
    make_source();
    follow();
    write(5);
    require(apply());
    const SourceState before = applier->state();
    applier.reset();
    host.reset();

    open_host();
    open_applier();

    check_same(applier->state(), before);
}

TEST_CASE_FIXTURE(Followed,
                  "a stock reader that closes last, after a rest or a clean end, takes no state away") {
    for (const bool ends : {false, true}) {
        CAPTURE(ends);
        Followed self;
        const std::string folder = self.directory.path("folder");
        fs::create_directory(folder);
        self.path = folder + "/replica.db";
        self.make_source();
        self.follow();
        self.write(5);
        require(self.apply());
        const SourceState before = self.applier->state();
        if (ends) self.applier.reset();
        if (!ends) self.applier->idle();
        // Whoever still has the files open has them there now, so that they look closed here.
        fs::rename(folder, self.directory.path("left"));
        fs::remove(self.directory.path("left/replica.db-shm"));
        self.applier.reset();
        self.host.reset();
        self.path = self.directory.path("left/replica.db");

        CHECK(Connection(self.path, kStock).text("SELECT count(*) FROM t") == "6");
        CHECK(!fs::exists(self.path + "-wal"));
        self.open_host();
        self.open_applier();

        check_same(self.applier->state(), before);
    }
}

TEST_CASE_FIXTURE(Followed, "the process dies at any time: it goes on") {
    make_source();
    follow();
    for (int i = 0; i < 20; ++i) {
        CAPTURE(i);
        write(3, 3000);
        require(apply());
        const SourceState before = applier->state();
        const std::string left = directory.path("left" + std::to_string(i));
        fs::create_directory(left);
        for (const char* suffix : {"", "-wal", "-litestream"}) {
            fs::copy(path + suffix, left + "/replica.db" + suffix, fs::copy_options::recursive);
        }
        applier.reset();
        host.reset();
        path = left + "/replica.db";
        open_host();
        open_applier();
        check_same(applier->state(), before);
    }
    check_equal();
}

// --- Strangers ---

TEST_CASE_FIXTURE(Followed, "another program writes while it is followed: said, and healed by a snapshot") {
    make_source();
    follow();
    write(1);
    require(apply());
    Connection(path, kStock).exec("INSERT INTO t(b) VALUES('foreign')");
    write(1);

    CHECK(!apply());
    CHECK(applier->state().position.empty());
    CHECK(applier->reset_reason().find("another program wrote") != std::string::npos);
    require(apply_image());
    require(apply());
    check_equal();
    CHECK(applier->reset_reason() == "");
}

TEST_CASE_FIXTURE(Followed, "another program writes while nobody follows: said, and healed by a snapshot") {
    for (const bool closes : {false, true}) {
        CAPTURE(closes);
        Followed self;
        self.make_source();
        self.follow();
        self.write(1);
        require(self.apply());
        self.applier.reset();
        if (closes) self.host.reset();
        Connection(self.path, kStock).exec("INSERT INTO t(b) VALUES('foreign')");
        if (closes) self.open_host();
        self.open_applier();

        CHECK(self.applier->state().position.empty());
        CHECK(self.applier->reset_reason() != "");
        require(self.apply_image());
        require(self.apply());
        self.check_equal();
    }
}

TEST_CASE_FIXTURE(Followed, "an image of another page size is refused") {
    make_source("PRAGMA page_size=8192");
    Connection(path, kStock).exec("PRAGMA page_size=4096; CREATE TABLE mine(a)");
    open_host();
    open_applier();

    const auto refused = apply_image();

    REQUIRE(!refused);
    CHECK(refused.error().code == ErrorCode::kInput);
    CHECK(refused.error().message.find("page size is 4096") != std::string::npos);
    CHECK(Connection(path, kStock).text("SELECT count(*) FROM mine") == "0");
}

TEST_CASE_FIXTURE(Followed,
                  "an image with another schema and the same cookie is understood by open connections") {
    make_source();
    {
        Connection other(path, kStock);
        other.exec("PRAGMA journal_mode=WAL; CREATE TABLE mine(a)");
        CHECK(other.text("PRAGMA schema_version") == source->text("PRAGMA schema_version"));
    }
    open_host();
    Connection reader(path, kStock);
    CHECK(reader.text("SELECT count(*) FROM mine") == "0");
    open_applier();

    require(apply_image());

    CHECK(reader.text("SELECT count(*) FROM t") == "1");
    source->exec("PRAGMA user_version=1");
    require(apply());
    CHECK(reader.text("PRAGMA schema_version") == source->text("PRAGMA schema_version"));
}

TEST_CASE_FIXTURE(Followed, "a commit of several batches into a log that begins anew shows as a whole") {
    make_source();
    follow();
    source->exec(
        "INSERT INTO t(b) WITH RECURSIVE c(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM c WHERE i<30000) "
        "SELECT randomblob(900) FROM c");
    Connection reader(path, kStock);
    CHECK(reader.text("PRAGMA wal_checkpoint(TRUNCATE)") == "0");

    require(apply());

    CHECK(reader.text("PRAGMA integrity_check") == "ok");
    check_equal();
}
