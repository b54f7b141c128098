// The applier beside stock readers.
#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>
#include <vector>

#include "shared/base/directory.h"
#include "tests/vfs/followed.h"

using namespace litestream;
using namespace litestream::test;

namespace {

// What the kernel says of the locks on these files, sorted; their numbers aside.
std::string locks_on(const std::string& database, const std::string& shm) {
    std::vector<std::string> lines;
    std::ifstream locks("/proc/locks");
    for (std::string line; std::getline(locks, line);) {
        for (const std::string& path : {database, shm}) {
            const auto identity = identity_of(path);
            REQUIRE(identity);
            if (line.find(":" + std::to_string(identity->inode) + " ") == std::string::npos) continue;
            lines.push_back(line.substr(line.find(' ')));
        }
    }
    std::sort(lines.begin(), lines.end());
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
}

}  // namespace

namespace fs = std::filesystem;

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

TEST_CASE_FIXTURE(Followed, "each life of the replica's WAL has salts of its own") {
    make_source();
    follow();
    std::vector<Salts> seen;
    for (int i = 0; i < 5; ++i) {
        write(1);
        require(apply());
        Bytes header(kWalHeaderSize);
        REQUIRE(File::open(path + "-wal", O_RDONLY)->read_exactly_at(0, header));
        const Salts salts = WalHeader::decode(header)->salts;
        CHECK(std::find(seen.begin(), seen.end(), salts) == seen.end());
        seen.push_back(salts);
        CHECK(Connection(path, kStock).text("PRAGMA wal_checkpoint(TRUNCATE)") == "0");
    }
}

TEST_CASE_FIXTURE(Followed, "nothing that the applier does drops a lock of SQLite's in this process") {
    make_source();
    follow();
    host->exec("BEGIN; SELECT count(*) FROM t");
    const std::string before = locks_on(path, path + "-shm");

    write(3);
    require(apply());
    require(applier->idle());
    require(apply_image());

    CHECK(locks_on(path, path + "-shm") == before);
    CHECK(before.find("READ") != std::string::npos);
    host->exec("COMMIT");
}
