#include "ext/remembered.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/directory.h"
#include "tests/ext/ext_host.h"

namespace litestream::test {
namespace {

Remembered sample() {
    Remembered remembered;
    remembered.database = {"/data/app.db", 64'512, 0xFFFF'FFFF'FFFF'FFFF, "machine"};
    remembered.id = "00112233445566778899aabbccddeeff";
    remembered.replicas = {{"file", "file:///b", 1000}, {"second", "file:///c", 0}};
    remembered.upstream = {"http://host:9090/app.db", 250, "/etc/token"};
    return remembered;
}

std::string why_unreadable(const std::string& directory) {
    const auto read = read_remembered(directory);
    return read ? "" : read.error().message;
}

TEST_CASE("what is remembered comes back as it was") {
    const TempDirectory directory;

    REQUIRE(write_remembered(directory.path(), sample()));
    const auto read = read_remembered(directory.path());

    REQUIRE(read);
    REQUIRE(*read);
    CHECK((*read)->database == sample().database);
    CHECK((*read)->id == sample().id);
    CHECK((*read)->replicas == sample().replicas);
    CHECK((*read)->upstream == sample().upstream);
}

TEST_CASE("an upstream that is not followed comes back as such, and one that does not say is followed") {
    const TempDirectory directory;
    Remembered stopped = sample();
    stopped.upstream->is_followed = false;

    REQUIRE(write_remembered(directory.path(), stopped));
    const auto read = read_remembered(directory.path());
    REQUIRE(write_remembered(directory.path(), sample()));

    CHECK((read && *read && (*read)->upstream == stopped.upstream));
    CHECK_FALSE(contains(read_text(directory.path("replicas.json")), "following"));
}

TEST_CASE("the file is for its owner only") {
    const TempDirectory directory;

    REQUIRE(write_remembered(directory.path(), sample()));
    struct stat status = {};
    REQUIRE(::stat(directory.path("replicas.json").c_str(), &status) == 0);

    CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("no directory and no file mean that nothing is remembered") {
    const TempDirectory directory;

    const auto no_file = read_remembered(directory.path());
    const auto no_directory = read_remembered(directory.path("absent"));

    CHECK((no_file && !*no_file));
    CHECK((no_directory && !*no_directory));
}

TEST_CASE("a file or directory that others can write is not trusted") {
    const TempDirectory directory;
    REQUIRE(write_remembered(directory.path(), sample()));

    REQUIRE(::chmod(directory.path("replicas.json").c_str(), 0620) == 0);
    const std::string why_file = why_unreadable(directory.path());
    REQUIRE(::chmod(directory.path("replicas.json").c_str(), 0600) == 0);
    REQUIRE(::chmod(directory.path().c_str(), 0777) == 0);
    const std::string why_directory = why_unreadable(directory.path());
    const auto written = write_remembered(directory.path(), sample());

    CHECK(contains(why_file, "replicas.json: can be written by other users"));
    CHECK(contains(why_directory, directory.path() + ": can be written by other users"));
    CHECK_FALSE(written);
}

TEST_CASE("a symbolic link is not followed") {
    const TempDirectory directory;
    REQUIRE(make_directories(directory.path("real"), 0700));
    REQUIRE(make_directories(directory.path("meta"), 0700));
    REQUIRE(write_remembered(directory.path("real"), sample()));

    REQUIRE(::symlink("../real/replicas.json", directory.path("meta/replicas.json").c_str()) == 0);
    const std::string why = why_unreadable(directory.path("meta"));

    CHECK(contains(why, "replicas.json: cannot open"));
}

TEST_CASE("anything but the format is an error that names what is wrong") {
    const TempDirectory directory;
    const std::string path = directory.path("replicas.json");
    REQUIRE(write_remembered(directory.path(), sample()));
    const std::string good = read_text(path);
    const auto why_with = [&](const std::string& from, const std::string& to) {
        std::string text = good;
        text.replace(text.find(from), from.size(), to);
        write_text(path, text);
        return why_unreadable(directory.path());
    };

    CHECK(contains(why_with("\"version\": 1", "\"version\": 2"), "has version 2"));
    CHECK(contains(why_with("\"inode\"", "\"indoe\""), "has no valid \"inode\""));
    CHECK(contains(why_with("64512", "-1"), "has no valid \"device\""));
    CHECK(contains(why_with("\"1s\"", "\"soon\""), "cannot parse the duration"));
    CHECK(contains(why_with("\"file\"", "\"../file\""), "is no name for a replica"));
    CHECK(contains(why_with("\"replicas\": [", "\"replicas\": 1, \"x\": ["), "has no valid \"replicas\""));
}

TEST_CASE("a file that was cut off is an error") {
    const TempDirectory directory;
    const std::string path = directory.path("replicas.json");
    REQUIRE(write_remembered(directory.path(), sample()));
    const std::string good = read_text(path);

    for (std::size_t size = 0; size + 2 < good.size(); size += 3) {
        write_text(path, good.substr(0, size));
        CHECK_MESSAGE(!read_remembered(directory.path()), size);
    }
}

TEST_CASE("a database is the same only at the same path, as the same file, on the same machine") {
    const DatabaseIdentity remembered = sample().database;
    const auto why = [&](DatabaseIdentity actual) {
        const auto status = check_same_database(remembered, actual);
        return status ? "" : status.error().message;
    };

    CHECK(why(remembered).empty());
    CHECK(contains(why({"/data/copy.db", 64'512, remembered.inode, "machine"}),
                   "at another path (/data/app.db)"));
    CHECK(contains(why({"/data/app.db", 1, remembered.inode, "machine"}), "as another file"));
    CHECK(contains(why({"/data/app.db", 64'512, 1, "machine"}), "as another file"));
    CHECK(contains(why({"/data/app.db", 64'512, remembered.inode, "other"}), "on another machine"));
}

}  // namespace
}  // namespace litestream::test
