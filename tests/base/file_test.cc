#include "shared/base/file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "tests/support/temp_directory.h"

using namespace litestream;

namespace {

void write_text(const std::string& path, std::string_view text) {
    auto file = File::open(path, O_WRONLY | O_CREAT | O_TRUNC);
    REQUIRE(file);
    REQUIRE(file->write(as_bytes(text)));
}

}  // namespace

TEST_CASE("a file gives back what was written to it") {
    const TempDirectory directory;
    auto file = File::open(directory.path("a"), O_RDWR | O_CREAT | O_EXCL);
    REQUIRE(file);

    REQUIRE(file->write(as_bytes("hello")));
    REQUIRE(file->write_at(1, as_bytes("EL")));
    REQUIRE(file->sync());

    Bytes buffer(5);
    CHECK(file->read_exactly_at(0, buffer));
    CHECK(as_text(buffer) == "hELlo");
    CHECK(file->status()->st_size == 5);
    REQUIRE(file->truncate(2));
    CHECK(*file->read_at(0, buffer) == 2);
}

TEST_CASE("reading past the end is an error only where all bytes are asked for") {
    const TempDirectory directory;
    write_text(directory.path("a"), "abc");
    const auto file = File::open(directory.path("a"), O_RDONLY);
    Bytes buffer(4);

    CHECK(*file->read_at(0, buffer) == 3);
    CHECK(*file->read_at(9, buffer) == 0);
    const Status status = file->read_exactly_at(0, buffer);
    REQUIRE_FALSE(status);
    CHECK(status.error().code == ErrorCode::kCorrupt);
    CHECK(status.error().message == directory.path("a") + ": ends early, at byte 3");
}

TEST_CASE("an error names the path and has the code that callers act on") {
    const TempDirectory directory;
    const std::string path = directory.path("missing");

    const auto missing = File::open(path, O_RDONLY);
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == ErrorCode::kNotFound);
    CHECK(missing.error().message == path + ": cannot open: No such file or directory");

    write_text(directory.path("there"), "");
    const auto twice = File::open(directory.path("there"), O_WRONLY | O_CREAT | O_EXCL);
    REQUIRE_FALSE(twice);
    CHECK(twice.error().code == ErrorCode::kExists);
}

TEST_CASE("a symbolic link is not followed") {
    const TempDirectory directory;
    write_text(directory.path("target"), "secret");
    REQUIRE(::symlink("target", directory.path("link").c_str()) == 0);

    const auto file = File::open(directory.path("link"), O_RDONLY);

    REQUIRE_FALSE(file);
    CHECK(file.error().code == ErrorCode::kCantOpen);
}

TEST_CASE("a moved file is closed once") {
    const TempDirectory directory;
    File first = *File::open(directory.path("a"), O_RDWR | O_CREAT);
    const int descriptor = first.descriptor();

    File second = std::move(first);
    CHECK_FALSE(first.is_open());  // NOLINT: what a move leaves behind is the point
    CHECK(second.descriptor() == descriptor);
    second.close();

    CHECK(::fcntl(descriptor, F_GETFD) == -1);
    CHECK(errno == EBADF);
}

TEST_CASE("a whole file is read up to a limit") {
    const TempDirectory directory;
    write_text(directory.path("a"), "12345");

    CHECK(as_text(*read_file(directory.path("a"), 5)) == "12345");
    const auto bytes = read_file(directory.path("a"), 4);
    REQUIRE_FALSE(bytes);
    CHECK(bytes.error().code == ErrorCode::kCorrupt);
}

TEST_CASE("a file source reads to the end") {
    const TempDirectory directory;
    write_text(directory.path("a"), "12345");
    FileSource source(*File::open(directory.path("a"), O_RDONLY));
    Bytes buffer(3);

    CHECK(*source.read(buffer) == 3);
    CHECK(*source.read(buffer) == 2);
    CHECK(*source.read(buffer) == 0);
}
