// Whom what is remembered is followed for: the owner's own database on its own machine, and nobody else.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "shared/base/machine.h"
#include "tests/ext/ext_host.h"

namespace litestream::test {
namespace {

namespace fs = std::filesystem;

struct Fixture {
    TempDirectory directory;
    std::string path = directory.path("app.db");
    std::string meta = path + "-litestream";
    std::string remembered = meta + "/replicas.json";
    std::string replica = directory.path("b");

    Fixture() {
        Session sql(path);
        REQUIRE(sql("SELECT litestream_replicate(" + sql_text("file://" + replica) + ")") ==
                "file (journal_mode is now wal)");
        sql("CREATE TABLE t(a)");
        sql("SELECT litestream_sync()");
    }
    std::string replica_files() const {
        std::string names;
        for (const auto& entry : fs::recursive_directory_iterator(replica))
            names += entry.path().string() + "\n";
        return names;
    }
    // Opens and writes: nothing may reach the replica, and status and events say why.
    void check_not_followed(const std::string& database, const std::string& why) const {
        const std::string before = replica_files();
        {
            Session sql(database);
            sql("INSERT INTO t VALUES(1)");
            REQUIRE(sql("SELECT litestream_sync()").size() == 50);
            CHECK(contains(sql("SELECT json_extract(litestream_status(),'$.why')"), why));
            CHECK(sql("SELECT count(*) FROM litestream_replicas") == "0");
            CHECK(contains(sql("SELECT group_concat(detail) FROM litestream_events WHERE kind='not_followed' "
                               "AND database=" +
                               sql_text(database)),
                           why));
        }
        CHECK(replica_files() == before);
    }
    void replace_in_remembered(const std::string& from, const std::string& to) const {
        std::string text = read_text(remembered);
        REQUIRE(contains(text, from));
        write_text(remembered, text.replace(text.find(from), from.size(), to));
    }
};

TEST_CASE_FIXTURE(Fixture, "a database that was copied with its meta directory sends nothing") {
    const std::string copy = directory.path("copy.db");
    fs::copy(path, copy);
    fs::copy(meta, copy + "-litestream", fs::copy_options::recursive);

    check_not_followed(copy, "its replicas were set up at another path (" + path + ")");
}

TEST_CASE_FIXTURE(Fixture, "a copy that took the original's place sends nothing") {
    fs::rename(path, path + "-old");
    fs::copy(path + "-old", path);

    check_not_followed(path, "its replicas were set up as another file (" + path + ")");
}

TEST_CASE_FIXTURE(Fixture, "a database that was moved sends nothing until it is set up again") {
    const std::string moved = directory.path("moved.db");
    fs::rename(path, moved);
    fs::rename(meta, moved + "-litestream");

    check_not_followed(moved, "its replicas were set up at another path (" + path + ")");
}

TEST_CASE_FIXTURE(Fixture, "a meta directory that a group can write is not trusted") {
    REQUIRE(::chmod(meta.c_str(), 0770) == 0);

    check_not_followed(path, meta + ": can be written by other users");
}

TEST_CASE_FIXTURE(Fixture, "a file that others can write is not trusted") {
    REQUIRE(::chmod(remembered.c_str(), 0602) == 0);

    check_not_followed(path, remembered + ": can be written by other users");
}

TEST_CASE_FIXTURE(Fixture,
                  "another user's file or directory is not trusted" * doctest::skip(::geteuid() != 0)) {
    REQUIRE(::chown(remembered.c_str(), 1, 1) == 0);
    check_not_followed(path, remembered + ": belongs to user 1, not to 0 who runs this process");

    REQUIRE(::chown(remembered.c_str(), 0, 0) == 0);
    REQUIRE(::chown(meta.c_str(), 1, 1) == 0);
    check_not_followed(path, meta + ": belongs to user 1, not to 0 who runs this process");
}

TEST_CASE_FIXTURE(Fixture, "what was set up on another machine is not followed on this one") {
    replace_in_remembered(machine_id(), "another");

    check_not_followed(path, "its replicas were set up on another machine");
}

TEST_CASE_FIXTURE(Fixture, "a file that cannot be read is said to be so, and is not followed") {
    replace_in_remembered("\"version\": 1", "\"version\": 9");

    check_not_followed(path, remembered + ": has version 9, which is not known here");
}

TEST_CASE_FIXTURE(Fixture, "a symbolic link in its place is not followed") {
    fs::rename(remembered, directory.path("elsewhere.json"));
    fs::create_symlink(directory.path("elsewhere.json"), remembered);

    check_not_followed(path, remembered + ": cannot open");
}

}  // namespace
}  // namespace litestream::test
