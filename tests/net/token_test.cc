#include "shared/net/token.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/temp_directory.h"

using namespace litestream;

namespace {

std::string write_token(const TempDirectory& directory, const std::string& text, mode_t mode = 0600) {
    const std::string path = directory.path("token");
    REQUIRE(write_file_atomically(path, as_bytes(text), 0600));
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    return path;
}

std::string refusal(const std::string& path) {
    const auto token = read_token_file(path);
    REQUIRE_FALSE(token);
    CHECK(token.error().message.find(path) != std::string::npos);
    return token.error().message;
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a token is the one line of its file") {
    const TempDirectory directory;

    CHECK(*read_token_file(write_token(directory, "s3cret!")) == "s3cret!");
    CHECK(*read_token_file(write_token(directory, "s3cret\r\n")) == "s3cret");
    CHECK(*read_token_file(write_token(directory, std::string(4096, 'x') + "\n")) == std::string(4096, 'x'));
}

TEST_CASE("a token file that others can read is refused") {
    const TempDirectory directory;

    CHECK(has(refusal(write_token(directory, "x", 0640)), "chmod 600"));
    CHECK(has(refusal(write_token(directory, "x", 0604)), "chmod 600"));
}

TEST_CASE("a token that is none is refused and not shown") {
    const TempDirectory directory;

    CHECK(has(refusal(write_token(directory, "")), "empty"));
    CHECK(has(refusal(write_token(directory, " \n\n")), "empty"));
    CHECK(has(refusal(write_token(directory, std::string(4097, 'x'))), "4096"));
    CHECK_FALSE(has(refusal(write_token(directory, "secret\nsecond")), "secret"));
    CHECK(has(refusal(write_token(directory, "caf\xC3\xA9")), "visible ASCII"));
    CHECK(has(refusal(write_token(directory, "two words")), "visible ASCII"));
}

TEST_CASE("what is no regular file is no token file") {
    const TempDirectory directory;
    const std::string target = write_token(directory, "x");
    const std::string link = directory.path("link");
    const std::string fifo = directory.path("fifo");
    REQUIRE(::symlink(target.c_str(), link.c_str()) == 0);
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);

    CHECK(has(refusal(link), "cannot open"));
    CHECK(has(refusal(fifo), "no regular file"));
    CHECK(has(refusal(directory.path()), "no regular file"));
    CHECK(has(refusal(directory.path("missing")), "No such file"));
}

TEST_CASE("tokens are equal or not") {
    CHECK(equal_in_constant_time("", ""));
    CHECK(equal_in_constant_time("abc", "abc"));
    CHECK_FALSE(equal_in_constant_time("abc", "abd"));
    CHECK_FALSE(equal_in_constant_time("abc", "ab"));
    CHECK_FALSE(equal_in_constant_time("abc", ""));
}
