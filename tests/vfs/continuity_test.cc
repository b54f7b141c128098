// Continuity when something happens to the database or its WAL.
#include "tests/vfs/continuity.h"
#include "shared/format/path.h"

using namespace litestream;
using namespace litestream::test;

namespace {

constexpr const char* kFileChanged = "the WAL is gone and the database file is not as a clean close left it";
constexpr const char* kRestartedUnseen = "the WAL was restarted while nobody captured it";
constexpr const char* kCheckpointed = "commits were checkpointed by others before they were captured";
constexpr const char* kShorter = "the WAL ends before the last captured commit (recovered after a crash)";

// The time is for a lock that capture has while it tries to store.
constexpr const char* kCommitAndReset =
    "PRAGMA busy_timeout=20000; INSERT INTO t(b) VALUES('foreign'); PRAGMA wal_checkpoint(TRUNCATE)";

// A file lies where the segments go.
class CaptureStop {
  public:
    explicit CaptureStop(const SegmentStore& store)
        : folder_(store.path() + "/" + wal_path(store.generation())) {
        fs::rename(folder_, folder_ + "-away");
        REQUIRE(write_file_atomically(folder_, as_bytes("in the way"), 0600));
    }
    void end() const {
        fs::remove(folder_);
        fs::rename(folder_ + "-away", folder_);
    }

  private:
    const std::string folder_;
};

}  // namespace

// --- The machine was started again, and live replicas had followed ---

TEST_CASE_FIXTURE(Continuity, "streamed in another boot, and not closed cleanly: a new generation") {
    const auto note_boot = [&](const std::string& boot) {
        REQUIRE(write_file_atomically(path + "-litestream/streamed",
                                      as_bytes(generation_before + " " + boot + "\n"), 0600));
    };
    REQUIRE(store().note_streamed());
    crash();
    reopen();
    check_same();

    note_boot("another");
    close();
    reopen();
    check_same();

    note_boot("another");
    crash();
    reopen();
    check_new("live replicas may have commits that are not here any more (the machine was started again)");
}

// --- While we do not run, after a clean close ---

TEST_CASE_FIXTURE(Continuity, "closed cleanly: goes on") {
    close();
    reopen();
    check_same();
}

TEST_CASE_FIXTURE(Continuity, "closed cleanly, then read by another program: goes on") {
    close();
    shell(path, "SELECT count(*) FROM t; PRAGMA integrity_check");
    reopen();
    check_same();
}

TEST_CASE_FIXTURE(Continuity, "closed cleanly, then changed by another program: a new generation") {
    for (const char* change : {"INSERT INTO t(b) VALUES('foreign')", "VACUUM", "PRAGMA journal_mode=DELETE",
                               "PRAGMA user_version=7"}) {
        CAPTURE(std::string(change));
        generation_before = generation();
        close();
        shell(path, change);
        reopen();
        check_new(kFileChanged);
    }
}

TEST_CASE_FIXTURE(Continuity, "the folder of database and meta directory was renamed: goes on") {
    crash();  // so that there is a folder of its own
    reopen();
    close();
    const std::string moved = directory.path("moved");
    fs::rename(fs::path(path).parent_path(), moved);
    path = moved + "/app.db";
    reopen();
    check_same();
}

TEST_CASE_FIXTURE(Continuity, "database and meta directory were copied: a new generation in the copy only") {
    const std::string original = path;
    close();
    path = directory.path("copy.db");
    fs::copy(original, path);
    fs::copy(original + "-litestream", path + "-litestream", fs::copy_options::recursive);
    reopen();
    check_new(kFileChanged);
    close();
    path = original;
    fs::remove_all(directory.path("replica"));
    reopen();
    check_same();
}

TEST_CASE_FIXTURE(Continuity, "the database was replaced by an older copy: a new generation") {
    connection->exec("PRAGMA wal_checkpoint");
    fs::copy(path, path + "-old");
    write();
    close();
    fs::rename(path + "-old", path);
    reopen();
    check_new(kFileChanged);
}

// --- While we do not run, after a crash ---

TEST_CASE_FIXTURE(Continuity, "crashed: goes on with the WAL that was left") {
    crash();
    reopen();
    check_same();
}

TEST_CASE_FIXTURE(Continuity, "crashed before capture had everything: the rest comes from the WAL") {
    stop_replicating();
    connection->exec("INSERT INTO t(b) VALUES('not replicated')");
    captured();
    const std::string last = segment_file(0);
    crash();
    fs::remove(after_crash(last));
    reopen();
    check_same();
}

TEST_CASE_FIXTURE(Continuity, "crashed, and another program appended to the WAL: goes on") {
    crash();
    {
        Connection holds(path, "unix");
        holds.exec("PRAGMA wal_autocheckpoint=0; SELECT count(*) FROM t");
        shell(path, "PRAGMA wal_autocheckpoint=0; INSERT INTO t(b) VALUES('foreign')");
        reopen();
    }
    check_same();
}

TEST_CASE_FIXTURE(Continuity, "crashed, and another program emptied or deleted the WAL: a new generation") {
    for (const char* change : {"SELECT count(*) FROM t", "INSERT INTO t(b) VALUES('foreign')"}) {
        CAPTURE(std::string(change));
        generation_before = generation();
        crash();
        shell(path, change);  // the last close checkpoints and deletes
        CHECK_FALSE(fs::exists(path + "-wal"));
        reopen();
        check_new(kFileChanged);
    }
    generation_before = generation();
    crash();
    Connection holds(path, "unix");
    holds.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    reopen();
    check_new(kFileChanged);
}

TEST_CASE_FIXTURE(Continuity, "crashed, and another program restarted the WAL: a new generation") {
    crash();
    Connection holds(path, "unix");
    holds.exec("PRAGMA wal_checkpoint(RESTART); INSERT INTO t(b) VALUES('foreign')");
    reopen();
    check_new(kRestartedUnseen);
}

TEST_CASE_FIXTURE(Continuity, "crashed, and the WAL was removed by hand: a new generation of what is left") {
    connection->exec("PRAGMA wal_checkpoint");
    crash();
    fs::remove(path + "-wal");
    reopen();
    check_new(kFileChanged);
}

TEST_CASE_FIXTURE(Continuity, "power loss left a shorter WAL than was captured: a new generation") {
    crash();
    fs::resize_file(path + "-wal", fs::file_size(path + "-wal") - 100);
    reopen();
    check_new(kShorter);
}

// --- While we run ---

TEST_CASE_FIXTURE(Continuity, "others append and checkpoint what was captured: goes on") {
    for (const char* change :
         {"PRAGMA wal_autocheckpoint=0; INSERT INTO t(b) VALUES('foreign')", "PRAGMA wal_checkpoint(PASSIVE)",
          "PRAGMA wal_checkpoint(RESTART)", "PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM",
          "SELECT count(*) FROM t", "DELETE FROM t WHERE id%2"}) {
        CAPTURE(std::string(change));
        shell(path, change);
        check_restore();
        check_same();
    }
}

TEST_CASE_FIXTURE(Continuity, "others commit and reset the WAL at once: their commit is captured before") {
    for (int i = 0; i < 5; ++i) {
        shell(path, "INSERT INTO t(b) VALUES('foreign'); PRAGMA wal_checkpoint(TRUNCATE)");
        check_restore();
        check_same();
    }
    close();
    CHECK_FALSE(fs::exists(path + "-shm"));
}

TEST_CASE_FIXTURE(Continuity, "others reset the WAL while capture cannot store: a new generation") {
    const CaptureStop stop(store());
    shell(path, kCommitAndReset);
    stop.end();
    check_restore();
    check_new(kCheckpointed);
}

TEST_CASE_FIXTURE(Continuity, "others reset the WAL twice within a second: the second generation waits") {
    for (int i = 0; i < 2; ++i) {
        generation_before = generation();
        const CaptureStop stop(store());
        shell(path, kCommitAndReset);
        stop.end();
        host_registry().find(path)->ring();
        check_restore();
        check_new(kCheckpointed);
    }
}

TEST_CASE_FIXTURE(Continuity, "what others restarted over is saved from behind the new WAL where it can be") {
    for (int i = 0; i < 10; ++i) write();
    shell(path,
          "PRAGMA wal_autocheckpoint=0; INSERT INTO t(b) VALUES('foreign'); PRAGMA wal_checkpoint(RESTART);"
          "INSERT INTO t(b) VALUES('foreign')");
    check_restore();
    check_same();
}

TEST_CASE_FIXTURE(Continuity,
                  "the WAL is removed by hand: the running process goes on, the next one begins anew") {
    fs::remove(path + "-wal");
    check_restore();
    check_same();
    close();
    reopen();
    check_new(kFileChanged);
}
