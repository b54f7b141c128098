// Continuity when something happens to the meta directory.
#include "tests/vfs/continuity.h"

using namespace litestream;
using namespace litestream::test;

namespace {

constexpr const char* kNone = "no generation exists";

}  // namespace

TEST_CASE_FIXTURE(Continuity, "the meta directory is deleted: a new generation") {
    close();
    fs::remove_all(path + "-litestream");
    reopen();
    check_new(kNone);
    generation_before = generation();
    fs::rename(path + "-litestream", path + "-gone");
    check_restore();
    check_new("the meta directory was removed or replaced");
}

TEST_CASE_FIXTURE(Continuity, "the generation file is garbage: a new generation") {
    for (const bool runs_on : {false, true}) {
        generation_before = generation();
        if (runs_on) {
            crash();
        } else {
            close();
        }
        fs::resize_file(path + "-litestream/generation", 5);
        reopen();
        check_new(kNone);
    }
}

TEST_CASE_FIXTURE(Continuity, "a damaged last segment is captured again from the WAL") {
    stop_replicating();
    connection->exec("INSERT INTO t(b) VALUES('not replicated')");
    captured();
    const std::string last = segment_file(0);
    crash();
    fs::resize_file(after_crash(last), 30);
    reopen();
    check_same();
}

TEST_CASE_FIXTURE(Continuity, "a damaged last segment without a WAL to repeat it: a new generation") {
    stop_replicating();
    connection->exec("INSERT INTO t(b) VALUES('not replicated')");
    captured();
    const std::string last = segment_file(0);
    close();
    fs::resize_file(last, 30);
    reopen();
    check_new("segment " + last.substr(last.find("generations/")) +
              " is damaged (power loss or a full disk?): lz4: ends early at byte 30; "
              "the last segment is not the one at which the database was closed");
}

TEST_CASE_FIXTURE(Continuity, "a store that is behind what a replica was given: a new generation") {
    const std::string last = segment_file(0);
    crash();
    fs::remove(after_crash(last));
    reopen();
    check_new("a replica has commits that are not here any more (power loss)");
}

// The replica's missing commits are gone: it gets what is there now in a new generation, at once.
TEST_CASE_FIXTURE(Continuity, "a segment that a replica lacks is missing in the middle: a new generation") {
    for (const bool runs_on : {true, false}) {
        CAPTURE(runs_on);
        generation_before = generation();
        stop_replicating();
        for (int i = 0; i < 3; ++i) {
            connection->exec("INSERT INTO t(b) VALUES(randomblob(3000))");
            captured();
        }
        std::string middle = segment_file(1);
        if (!runs_on) {
            crash();
            middle = after_crash(middle);
            open();
        }
        fs::remove(middle);
        replicate();
        check_restore();
        CHECK(generation() != generation_before);
        CHECK_MESSAGE(reason().find(".wal.lz4: ") != std::string::npos, reason());
    }
}
