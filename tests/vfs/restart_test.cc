// The process dies between a restart of the WAL and the capture of what was committed behind it, or power
// loss takes the end of the last segment.
#include <thread>

#include "shared/base/directory.h"
#include "shared/format/path.h"
#include "tests/vfs/continuity.h"

using namespace litestream;
using namespace litestream::test;

namespace {

constexpr const char* kRestartedUnseen = "the WAL was restarted while nobody captured it";

struct Restart : Continuity {
    std::string in_the_way;  // where the next index goes: what is committed from now on stays in the WAL

    void block_capture() {
        const Position end = store().end();
        in_the_way = "-litestream/" + index_path(end.generation, end.index + 1);
        REQUIRE(write_file_atomically(path + in_the_way, as_bytes("a file"), 0600));
    }
    void die() {
        copy_as_crashed();
        fs::remove(path + in_the_way);
    }
    void insert() { connection->exec("INSERT INTO t(b) VALUES('not captured')"); }

    // The process dies, and the files stay the same files, under another path. Whoever has them open still
    // leaves nothing there.
    void die_in_place() {
        const std::string left = directory.path("left-in-place" + std::to_string(++deaths_));
        fs::rename(fs::path(path).parent_path(), left);
        fs::remove(left + "/app.db-shm");
        close();
        path = left + "/app.db";
    }
    void move_to_a_folder_of_its_own() {
        crash();
        reopen();
        generation_before = generation();
    }
    void write_wal(std::size_t size) const {
        WalHeader header;
        header.page_size = 4096;
        header.salts = {1, 2, 3, 4, 5, 6, 7, 8};
        const auto encoded = header.encode();
        Bytes bytes(encoded.begin(), encoded.end());
        bytes.resize(size);
        REQUIRE(write_file_atomically(path + "-wal", bytes, 0600));
    }
    // The last segment as it is with nothing behind its lz4 frame.
    std::string cut_last_trailer() {
        const std::string file = after_crash(last_segment);
        const auto bytes = read_file(file, 1u << 20);
        REQUIRE(bytes);
        fs::resize_file(file, bytes->size() - load_be32(bytes->data() + bytes->size() - 4));
        return file.substr(file.find("generations/"));
    }
    std::string last_segment;

  private:
    int deaths_ = 0;
};

}  // namespace

TEST_CASE_FIXTURE(Restart,
                  "killed before the first commits of a new life of the WAL were captured: goes on") {
    const auto restart = [&](const std::string& how) {
        CAPTURE(how);
        connection->exec("PRAGMA wal_checkpoint(" + how + ")");
        block_capture();
        for (int i = 0; i < 3; ++i) insert();
        die();
        reopen();
        check_same();
    };

    restart("TRUNCATE");
    restart("RESTART");
    restart("PASSIVE");
}

TEST_CASE_FIXTURE(Restart, "killed before the first commit behind a clean close was captured: goes on") {
    flush();
    close();
    open();
    block_capture();
    insert();
    die();
    reopen();
    check_same();
}

TEST_CASE_FIXTURE(Restart,
                  "a checkpoint of no WAL proves nothing of what others wrote later: a new generation") {
    close();
    open();
    connection->exec("PRAGMA wal_checkpoint(TRUNCATE)");
    close();
    shell(path, "INSERT INTO t(b) VALUES('foreign')");
    reopen();
    check_new("the WAL is gone and the database file is not as a clean close left it");
}

TEST_CASE_FIXTURE(Restart, "others restart the WAL between the open and the first look: a new generation") {
    flush();
    close();
    sqlite3* raw = nullptr;
    REQUIRE(sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE, "unix") == SQLITE_OK);
    const std::unique_ptr<sqlite3, int (*)(sqlite3*)> other(raw, sqlite3_close);
    const auto run = [&](const char* sql) {
        CHECK(sqlite3_exec(raw, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
    };
    run("PRAGMA wal_autocheckpoint=0; INSERT INTO t(b) VALUES('others')");
    // Capture cannot begin: a folder lies where its lock goes.
    const std::string lock = path + "-litestream/capture-lock";
    fs::remove(lock);
    fs::create_directory(lock);
    open();

    run("PRAGMA wal_checkpoint(RESTART); INSERT INTO t(b) VALUES('others again')");
    fs::remove(lock);

    replicate();
    check_restore();
    check_new(kRestartedUnseen);
}

TEST_CASE_FIXTURE(Restart, "others begin a WAL behind a clean close and go on: goes on") {
    flush();
    close();
    sqlite3* raw = nullptr;
    REQUIRE(sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE, "unix") == SQLITE_OK);
    const std::unique_ptr<sqlite3, int (*)(sqlite3*)> other(raw, sqlite3_close);
    CHECK(sqlite3_exec(raw, "INSERT INTO t(b) VALUES('others')", nullptr, nullptr, nullptr) == SQLITE_OK);

    reopen();

    check_same();
}

TEST_CASE_FIXTURE(Restart, "a restart over what was not captured leaves no proof: a new generation") {
    connection->exec("PRAGMA wal_checkpoint(TRUNCATE)");
    block_capture();
    host_registry().find(path)->set_gate_limit(1);
    insert();
    connection->exec("PRAGMA wal_checkpoint(TRUNCATE)");
    insert();
    die();
    reopen();
    check_new(kRestartedUnseen);
}

TEST_CASE_FIXTURE(Restart, "killed right behind a TRUNCATE, or in the next WAL's header: goes on") {
    move_to_a_folder_of_its_own();
    for (const std::size_t wal_bytes : {std::size_t{0}, kWalHeaderSize / 2, kWalHeaderSize}) {
        CAPTURE(wal_bytes);
        write();
        connection->exec("PRAGMA wal_checkpoint(TRUNCATE)");
        die_in_place();
        write_wal(wal_bytes);
        reopen();
        check_same();
    }
}

TEST_CASE_FIXTURE(Restart, "killed right behind a TRUNCATE, and others wrote at once: a new generation") {
    move_to_a_folder_of_its_own();
    for (const char* change :
         {"INSERT INTO t(b) VALUES('foreign')", "INSERT INTO t(b) VALUES('foreign'); PRAGMA wal_checkpoint",
          "PRAGMA user_version=7", "PRAGMA journal_mode=DELETE; INSERT INTO t(b) VALUES('foreign')"}) {
        CAPTURE(std::string(change));
        generation_before = generation();
        write();
        connection->exec("PRAGMA wal_checkpoint(TRUNCATE)");
        die_in_place();
        shell(path, change);
        reopen();
        check_new("the WAL is gone and the database file is not as a clean close left it");
    }
}

TEST_CASE_FIXTURE(Restart, "killed before the WAL is cut off, others commit and cut it: a new generation") {
    move_to_a_folder_of_its_own();
    connection->exec("PRAGMA wal_checkpoint(TRUNCATE)");
    write();
    const std::string wal = path + "-wal";
    fs::copy_file(wal, directory.path("wal"));
    connection->exec("PRAGMA wal_checkpoint(TRUNCATE)");
    die_in_place();
    fs::copy_file(directory.path("wal"), path + "-wal", fs::copy_options::overwrite_existing);
    shell(path, "INSERT INTO t(b) VALUES('foreign')");
    CHECK_FALSE(fs::exists(path + "-wal"));
    reopen();
    check_new("the WAL is gone and the database file is not as a clean close left it");
}

TEST_CASE_FIXTURE(Restart, "the last segment lost its end, and the WAL still holds it: goes on") {
    stop_replicating();
    connection->exec("INSERT INTO t(b) VALUES('not replicated')");
    captured();
    last_segment = segment_file(0);
    crash();
    cut_last_trailer();
    reopen();
    check_same();
}

TEST_CASE_FIXTURE(Restart, "the last segment lost its end, and the WAL is gone: its name is in the reason") {
    stop_replicating();
    connection->exec("INSERT INTO t(b) VALUES('not replicated'); PRAGMA wal_checkpoint");
    captured();
    last_segment = segment_file(0);
    crash();
    const std::string name = cut_last_trailer();
    fs::remove(path + "-wal");
    reopen();
    check_new("segment " + name +
              " is damaged (power loss or a full disk?): cut short before its trailer; the WAL is gone and "
              "the database file is not as a clean close left it");
}
