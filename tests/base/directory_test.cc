#include "shared/base/directory.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/support/temp_directory.h"

using namespace litestream;

namespace {

std::string content(const std::string& path) { return std::string(as_text(*read_file(path, 1000))); }

}  // namespace

TEST_CASE("paths are taken apart and joined") {
    CHECK(parent_directory("/a/b") == "/a");
    CHECK(parent_directory("/a") == "/");
    CHECK(parent_directory("a") == ".");
    CHECK(join_path("/a", "b") == "/a/b");
    CHECK(join_path("/a/", "b") == "/a/b");
}

TEST_CASE("directories are made with their parents, and again without harm") {
    const TempDirectory directory;

    CHECK(make_directories(directory.path("a/b/c"), 0700));
    CHECK(make_directories(directory.path("a/b/c"), 0700));

    CHECK(file_exists(directory.path("a/b/c")));
}

TEST_CASE("a file in the way of a directory is an error") {
    const TempDirectory directory;
    REQUIRE(write_file_atomically(directory.path("a"), {}, 0600));

    const Status status = make_directories(directory.path("a"), 0700);

    REQUIRE_FALSE(status);
    CHECK(status.error().code == ErrorCode::kCantOpen);
}

TEST_CASE("a directory is listed by name") {
    const TempDirectory directory;
    REQUIRE(write_file_atomically(directory.path("b"), {}, 0600));
    REQUIRE(make_directories(directory.path("a"), 0700));
    REQUIRE(::symlink("a", directory.path("c").c_str()) == 0);

    const auto entries = list_directory(directory.path());

    REQUIRE(entries);
    REQUIRE(entries->size() == 3);
    CHECK((*entries)[0].name == "a");
    CHECK((*entries)[0].is_directory);
    CHECK((*entries)[1].name == "b");
    CHECK_FALSE((*entries)[1].is_directory);
    CHECK_FALSE((*entries)[2].is_directory);
    CHECK(list_directory(directory.path("none")).error().code == ErrorCode::kNotFound);
}

TEST_CASE("removing what is missing is no error") {
    const TempDirectory directory;

    CHECK(remove_file(directory.path("a")));
    CHECK(remove_directory_tree(directory.path("a")));
}

TEST_CASE("a removed tree takes its links along, not what they name") {
    const TempDirectory directory;
    REQUIRE(make_directories(directory.path("kept"), 0700));
    REQUIRE(write_file_atomically(directory.path("kept/a"), {}, 0600));
    REQUIRE(make_directories(directory.path("tree/x"), 0700));
    REQUIRE(::symlink("../kept", directory.path("tree/link").c_str()) == 0);

    CHECK(remove_directory_tree(directory.path("tree")));

    CHECK_FALSE(file_exists(directory.path("tree")));
    CHECK(file_exists(directory.path("kept/a")));
}

TEST_CASE("a temporary file that is not published disappears") {
    const TempDirectory directory;
    {
        auto temp = TempFile::create(directory.path("a"), ".tmp", 0600);
        REQUIRE(temp);
        CHECK(file_exists(directory.path("a.tmp")));
    }

    CHECK_FALSE(file_exists(directory.path("a.tmp")));
    CHECK_FALSE(file_exists(directory.path("a")));
}

TEST_CASE("a leftover of an earlier run is replaced") {
    const TempDirectory directory;
    REQUIRE(write_file_atomically(directory.path("a.tmp"), as_bytes("leftover"), 0600));

    auto temp = TempFile::create(directory.path("a"), ".tmp", 0600);
    REQUIRE(temp);
    REQUIRE(temp->file().write(as_bytes("new")));
    REQUIRE(temp->publish(Durability::kNone, Replace::kNever));

    CHECK(content(directory.path("a")) == "new");
}

TEST_CASE("publishing never replaces a file that appeared meanwhile") {
    const TempDirectory directory;
    auto temp = TempFile::create(directory.path("a"), ".new", 0600);
    REQUIRE(temp);
    REQUIRE(write_file_atomically(directory.path("a"), as_bytes("theirs"), 0600));

    const Status status = temp->publish(Durability::kSynced, Replace::kNever);

    REQUIRE_FALSE(status);
    CHECK(status.error().code == ErrorCode::kExists);
    CHECK(content(directory.path("a")) == "theirs");
}

TEST_CASE("a small file is rewritten as a whole") {
    const TempDirectory directory;

    REQUIRE(write_file_atomically(directory.path("a"), as_bytes("long text"), 0600));
    REQUIRE(write_file_atomically(directory.path("a"), as_bytes("short"), 0600));

    CHECK(content(directory.path("a")) == "short");
    CHECK_FALSE(file_exists(directory.path("a.tmp")));
}
