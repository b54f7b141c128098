// Changes of journal mode and locking mode: what is captured afterwards, and that capture is not in their
// way.
#include <fcntl.h>

#include <atomic>
#include <thread>

#include "tests/vfs/replicated.h"

using namespace litestream;
using namespace litestream::test;

namespace {

constexpr const char* kChanged = "the WAL is gone and the database file is not as a clean close left it";

struct Wal : Replicated {
    Connection connection{path};

    Wal() {
        connection.exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)");
        replicate();
        flush();
    }
    ~Wal() { stop_replicating(); }
};

// A thread that reads an image over and over until it is told to give up.
class ImageReader {
  public:
    explicit ImageReader(Database& database)
        : thread_([this, &database] {
              Snapshotter snapshotter(database);
              auto image = snapshotter.pin();
              is_pinned_.store(true);
              is_pinned_.notify_all();
              if (!image) return;
              Bytes page((*image)->trailer().page_size);
              while ((*image)->read_page(1, page)) std::this_thread::yield();
          }) {
        is_pinned_.wait(false);
    }
    ~ImageReader() { thread_.join(); }
    ImageReader(const ImageReader&) = delete;
    ImageReader& operator=(const ImageReader&) = delete;

  private:
    std::atomic<bool> is_pinned_ = false;
    std::thread thread_;
};

}  // namespace

TEST_CASE_FIXTURE(Wal, "back from rollback mode a new generation holds what was written there") {
    const std::string first = generation();
    for (const char* mode : {"DELETE", "TRUNCATE", "MEMORY"}) {
        CAPTURE(mode);
        CHECK(connection.text(std::string("PRAGMA journal_mode=") + mode) != "wal");
        CHECK_FALSE(host_registry().find(path)->is_mapped());
        connection.exec("INSERT INTO t VALUES(2)");

        CHECK(connection.text("PRAGMA journal_mode=WAL") == "wal");
        connection.exec("INSERT INTO t VALUES(3)");
        flush();

        CHECK(generation() != first);
        CHECK(reason() == kChanged);
        CHECK(restored() == dump(connection));
    }
}

TEST_CASE_FIXTURE(Wal, "also a mere visit in rollback mode begins a generation: the file's header changed") {
    const std::string first = generation();

    connection.exec("PRAGMA journal_mode=DELETE; PRAGMA journal_mode=WAL; SELECT count(*) FROM t");
    flush();

    CHECK(generation() != first);
    CHECK(reason() == kChanged);
    CHECK(restored() == dump(connection));
}

TEST_CASE_FIXTURE(Wal, "with other connections there the mode stays, and so does the generation") {
    const std::string first = generation();
    Connection other(path);
    other.exec("SELECT count(*) FROM t");
    sqlite3_busy_timeout(connection.get(), 0);

    CHECK(connection.try_exec("PRAGMA journal_mode=DELETE") == SQLITE_BUSY);  // as plain SQLite answers
    connection.exec("INSERT INTO t VALUES(2)");
    other.exec("INSERT INTO t VALUES(3)");
    flush();

    CHECK(generation() == first);
    CHECK(restored() == dump(connection));
    other.close();
    CHECK(connection.text("PRAGMA journal_mode=DELETE") == "delete");
}

TEST_CASE_FIXTURE(Wal, "an image gives way to a change of mode") {
    sqlite3_busy_timeout(connection.get(), 0);
    const auto database = captured();
    {
        const ImageReader reader(*database);
        CHECK(connection.text("PRAGMA journal_mode=DELETE") == "delete");
    }
    connection.exec("PRAGMA journal_mode=WAL; INSERT INTO t VALUES(2)");
    captured();
    const ImageReader reader(*database);
    connection.exec("PRAGMA locking_mode=EXCLUSIVE; INSERT INTO t VALUES(3)");

    CHECK(database->exclusive().kind() == ExclusiveWal::Kind::kShared);
    flush();
    CHECK(restored() == dump(connection));
    connection.exec("PRAGMA journal_mode=DELETE");
}

TEST_CASE_FIXTURE(Wal, "in rollback mode, exclusive or not, writes pass and images are refused") {
    const auto database = captured();
    connection.exec("PRAGMA journal_mode=DELETE; PRAGMA locking_mode=EXCLUSIVE; INSERT INTO t VALUES(2)");
    Snapshotter snapshotter(*database);

    const auto image = snapshotter.pin();

    REQUIRE_FALSE(image);
    CHECK(image.error().code == ErrorCode::kBusy);
    CHECK(connection.try_exec("INSERT INTO t VALUES(3)") == SQLITE_OK);
}

TEST_CASE("capture that cannot work keeps no database from a change of mode") {
    const std::string kDelete = "PRAGMA journal_mode=DELETE";
    const std::string kExclusive = "PRAGMA locking_mode=EXCLUSIVE; INSERT INTO t VALUES(2)";
    for (const std::string& change : {kDelete, kExclusive}) {
        CAPTURE(change);
        TempDirectory directory;
        const std::string path = directory.path("app.db");
        REQUIRE(write_file_atomically(path + "-litestream", as_bytes("in the way"), 0600));
        Connection connection(path);
        sqlite3_busy_timeout(connection.get(), 0);
        connection.exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)");

        CHECK(connection.try_exec(change) == SQLITE_OK);
        CHECK(connection.try_exec("INSERT INTO t VALUES(3); PRAGMA wal_checkpoint") == SQLITE_OK);
        CHECK(connection.try_exec("INSERT INTO t VALUES(4)") == SQLITE_OK);
        if (change == kExclusive) CHECK(connection.text("PRAGMA wal_checkpoint(TRUNCATE)") == "0");
    }
}
