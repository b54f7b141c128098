#include "shared/base/url.h"

#include <doctest/doctest.h>

using namespace litestream;

namespace {

Url parsed(std::string_view text) {
    const auto url = Url::parse(text);
    INFO(text);
    REQUIRE(url);
    return *url;
}

std::string error_of(std::string_view text) {
    const auto url = Url::parse(text);
    INFO(text);
    REQUIRE_FALSE(url);
    CHECK(url.error().code == ErrorCode::kInput);
    return url.error().message;
}

}  // namespace

TEST_CASE("a URL comes apart") {
    const Url url = parsed("HTTP://primary:9090/data/app.db?timeout=1s&token_file=%2Fetc%2Ft&x");

    CHECK(url.scheme == "http");
    CHECK(url.host == "primary");
    CHECK(url.port == "9090");
    CHECK(url.path == "/data/app.db");
    REQUIRE(url.query.size() == 3);
    CHECK(url.query[0] == std::pair<std::string, std::string>("timeout", "1s"));
    CHECK(url.query[1] == std::pair<std::string, std::string>("token_file", "/etc/t"));
    CHECK(url.query[2] == std::pair<std::string, std::string>("x", ""));
}

TEST_CASE("host, port, path and query may be missing") {
    CHECK(parsed("file:///backup/app").host.empty());
    CHECK(parsed("file:///backup/app").path == "/backup/app");
    CHECK(parsed("s3://bucket").path.empty());
    CHECK(parsed("s3://bucket?region=x").query.size() == 1);
    CHECK(parsed("http://[::1]:80/").host == "[::1]");
    CHECK(parsed("file:////a").path == "//a");
}

TEST_CASE("a path is taken as typed, or decoded where it is encoded") {
    CHECK(parsed("file:///my backups/\xc3\xa4\xff").path == "/my backups/\xc3\xa4\xff");
    CHECK(parsed("file:///my%20backups/%c3%A4%ff").path == "/my backups/\xc3\xa4\xff");
    CHECK(parsed("file:///a[1]{2}|\"^`\\").path == "/a[1]{2}|\"^`\\");
    CHECK(parsed("file:///a@b:c").path == "/a@b:c");
    CHECK(parsed("file:///50%25").path == "/50%");
    CHECK(parsed("file:///a?name=my name").query[0].second == "my name");
}

TEST_CASE("what cannot be meant is refused in plain words") {
    CHECK(error_of("/backup/app") == "invalid URL \"/backup/app\": expected SCHEME://HOST/PATH");
    CHECK(error_of("") == "invalid URL \"\": expected SCHEME://HOST/PATH");
    CHECK(error_of("file:///50%").find("'%' must be followed by two hex digits") != std::string::npos);
    CHECK(error_of("file:///50%2").find("'%' must be followed by two hex digits") != std::string::npos);
    CHECK(error_of("file:///50%zz").find("'%' must be followed by two hex digits") != std::string::npos);
    CHECK(error_of("file:///a%00b").find("NUL") != std::string::npos);
    CHECK(error_of(std::string_view("file:///a\0b", 11)).find("NUL") != std::string::npos);
    CHECK(error_of("file:///a#b").find("fragment") != std::string::npos);
    CHECK(error_of("http://host:70000/").find("port") != std::string::npos);
    CHECK(error_of("http://host:x/").find("expected SCHEME") != std::string::npos);
    CHECK(error_of("1a://host/").find("expected SCHEME") != std::string::npos);
    CHECK(error_of("http://%5Ba/").find("host") != std::string::npos);
    CHECK(error_of("s3:/bucket://app").find("expected SCHEME") != std::string::npos);
    CHECK(error_of("http://a b/").find("expected SCHEME") != std::string::npos);
    CHECK(error_of("file:///" + std::string(20000, 'a')).find("too long") != std::string::npos);
}

TEST_CASE("user information is refused, and no message repeats it") {
    for (const char* text :
         {"s3://key:hunter2@bucket/app", "s3://hunter2@bucket", "s3://a:hunter2@b/%",
          "s3://k:hunter2@b:99999/", "s3://k:hunter2?x@b/%", "s3://k:hunter2@b/#", "s3:k:hunter2@b"}) {
        CHECK(error_of(text).find("hunter2") == std::string::npos);
    }
    CHECK(error_of("s3://k:hunter2@b/app").find("user information") != std::string::npos);
}

TEST_CASE("a query is never shown") {
    CHECK(error_of("file:///%?secret=hunter2").find("hunter2") == std::string::npos);
    CHECK(parsed("s3://b/a?secret=hunter2").to_string() == "s3://b/a");
}

TEST_CASE("a URL prints encoded and parses back") {
    for (const char* text : {"file:///my backups/\xff%25", "s3://bucket/app", "s3://bucket",
                             "http://[::1]:80/x", "http://a%20b:1/", "file:////a//b/", "file:///a@b:c;d=e"}) {
        const Url url = parsed(text);
        const Url back = parsed(url.to_string());
        CHECK(back.to_string() == url.to_string());
        CHECK(back.host == url.host);
        CHECK(back.path == url.path);
    }
    CHECK(parsed("file:///my backups/\xff%25").to_string() == "file:///my%20backups/%FF%25");
}
