// A pinned image is the database at one position, whatever happens to the database meanwhile.
#include "vfs/snapshotter.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include "tests/support/sqlite_host.h"
#include "vfs/registry.h"

using namespace litestream;
using namespace litestream::test;

namespace {

struct Fixture {
    TempDirectory directory;
    std::string path = directory.path("app.db");

    std::shared_ptr<Database> captured() {
        auto database = host_registry().find(path);
        REQUIRE(database);
        REQUIRE(database->wait_captured(10'000));
        return database;
    }

    // The image as a database file, read by plain SQLite.
    std::string dump_image(DatabaseImage& image) {
        const std::string copy = directory.path("copy.db");
        auto file = File::open(copy, O_RDWR | O_CREAT | O_TRUNC);
        REQUIRE(file);
        Bytes page(image.trailer().page_size);
        for (std::uint32_t page_no = 1; page_no <= image.trailer().page_count; ++page_no) {
            REQUIRE(image.read_page(page_no, page));
            REQUIRE(file->write(page));
        }
        return dump_file(copy);
    }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "an image stays what it was while others write and checkpoint") {
    Connection connection(path);
    connection.exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(randomblob(50000))");
    const bool in_file = true;
    for (const bool checkpointed : {!in_file, in_file}) {
        CAPTURE(checkpointed);
        if (checkpointed) connection.exec("PRAGMA wal_checkpoint(TRUNCATE)");
        const Position at = captured()->store().end();
        const std::string expected = dump(connection);
        const auto database = captured();
        Snapshotter snapshotter(*database);
        auto image = snapshotter.pin();
        REQUIRE_MESSAGE(image, (image ? "" : image.error().message));

        for (int i = 0; i < 20; ++i) {
            connection.exec(
                "UPDATE t SET a=randomblob(50000); INSERT INTO t VALUES(randomblob(9000)); PRAGMA "
                "wal_checkpoint");
        }
        sqlite3_busy_timeout(connection.get(), 0);
        connection.exec("PRAGMA wal_checkpoint(RESTART)");

        CHECK((*image)->trailer().end() == at);
        CHECK(dump_image(**image) == expected);
    }
}

TEST_CASE_FIXTURE(Fixture,
                  "a database without a commit under capture has an image at the start of its generation") {
    Connection(path, "unix").exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)");
    Connection connection(path);
    const std::string expected = dump(connection);
    const auto database = captured();
    Snapshotter snapshotter(*database);

    auto image = snapshotter.pin();

    REQUIRE(image);
    CHECK((*image)->trailer().end() == Position{database->store().generation(), 0, 0});
    CHECK(dump_image(**image) == expected);
}

TEST_CASE_FIXTURE(Fixture,
                  "an image outlives the application's last connection and the database closes cleanly") {
    auto connection = std::make_unique<Connection>(path);
    connection->exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)");
    const std::string expected = dump(*connection);
    const auto database = captured();
    Snapshotter snapshotter(*database);
    auto image = snapshotter.pin();
    REQUIRE(image);

    connection.reset();

    CHECK(dump_image(**image) == expected);
    *image = nullptr;
    CHECK_FALSE(host_registry().find(path));
}

TEST_CASE_FIXTURE(Fixture, "a snapshot can still be taken while the last connection closes") {
    struct Observer final : RegistryObserver {
        void on_open(const std::shared_ptr<Database>&, const char*) override {}
        void on_last_close(Database& database) override {
            Snapshotter snapshotter(database);
            auto image = snapshotter.pin();
            if (!image) return;
            position = (*image)->trailer().end();
            dump = fixture.dump_image(**image);
        }
        explicit Observer(Fixture& owner) : fixture(owner) {}
        Fixture& fixture;
        Position position;
        std::string dump;
    };
    Observer observer(*this);
    auto connection = std::make_unique<Connection>(path);
    connection->exec("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)");
    const Position end = captured()->store().end();
    const std::string expected = dump(*connection);

    host_registry().set_observer(&observer);
    connection.reset();
    host_registry().set_observer(nullptr);

    CHECK(observer.position == end);
    CHECK(observer.dump == expected);
    Connection again(path);
    again.exec("INSERT INTO t VALUES(2)");
    CHECK(captured()->store().generation() == end.generation);
}
