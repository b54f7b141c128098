// litestream_stream of a bucket, as far as no store is asked: what its URL and options say.
#include <doctest/doctest.h>

#include "ext/upstream.h"
#include "shared/base/file.h"
#include "tests/ext/ext_host.h"
#include "tests/support/variable.h"

namespace litestream::test {
namespace {

struct Fixture {
    TempDirectory directory;
    std::string path = directory.path("replica.db");
    Session sql{path};

    std::string stream(const std::string& url, const std::string& options = "{}") {
        return sql("SELECT litestream_stream(" + sql_text(url) + "," + sql_text(options) + ")");
    }
    void check_untouched() {
        CHECK(sql("SELECT json_extract(litestream_status(),'$.upstream')") == "NULL");
        CHECK(sql("CREATE TABLE mine(a)") == "NULL");
        CHECK_FALSE(file_exists(path + "-litestream/replicas.json"));
    }
};

TEST_CASE("what the store of a bucket needs is remembered, from the URL and from the options, which win") {
    const auto request =
        parse_stream_request("s3://bucket/app/?interval=2s&region=eu-west-1&endpoint=https://s3.example",
                             R"({"region":"eu-west-2","force_path_style":true,"parallelism":4,"timeout":1})");

    REQUIRE(request);
    CHECK(request->upstream.url ==
          "s3://bucket/app?endpoint=https://s3.example&region=eu-west-2&force_path_style=true&parallelism=4");
    CHECK(request->upstream.interval_ms == 2000);
    CHECK(request->timeout_ms == 1000);
}

TEST_CASE_FIXTURE(Fixture, "a bucket's URL that says nothing of use is refused") {
    CHECK(contains(stream("s3:///app"), "no bucket; expected s3://BUCKET"));
    CHECK(contains(stream("s3://bucket/app?endpoint=http://far.example"), "plain http to another machine"));
    CHECK(contains(stream("s3://bucket/app?region=a&region=b"), "the query says \"region\" twice"));
    const std::string refusal = stream("s3://bucket/app?secret_access_key=word");
    CHECK(contains(refusal, "unknown key \"secret_access_key\" in the query; known are timeout, interval, "
                            "token_file, replace, endpoint, region"));
    CHECK_FALSE(contains(refusal, "word"));
    check_untouched();
}

TEST_CASE_FIXTURE(Fixture, "a wrong option of a bucket is named with those that are known") {
    const std::string url = "s3://bucket/app";

    CHECK(contains(stream(url, R"({"regio":"eu-west-1"})"),
                   "unknown option \"regio\"; known are timeout, interval, token_file, replace, endpoint, "
                   "region"));
    CHECK(contains(stream(url, R"({"force_path_style":"yes"})"),
                   "option \"force_path_style\" must be true or false"));
    CHECK(contains(stream(url, R"({"region":1})"), "option \"region\" must be text"));
    CHECK(contains(stream(url, R"({"parallelism":"4"})"), "option \"parallelism\" must be a number"));
    CHECK(contains(stream("http://127.0.0.1:9/app.db", R"({"region":"eu-west-1"})"),
                   "unknown option \"region\""));
    check_untouched();
}

TEST_CASE_FIXTURE(Fixture, "a bucket without credentials is refused at once, and nothing is remembered") {
    const Variable no_file("AWS_SHARED_CREDENTIALS_FILE", directory.path("none"));
    const Variable no_config("AWS_CONFIG_FILE", directory.path("none"));
    const Variable no_metadata("AWS_EC2_METADATA_DISABLED", "true");

    const std::string refusal = stream("s3://bucket/app?region=eu-west-1", R"({"timeout":3600})");

    CHECK(contains(refusal, "no credentials: looked at AWS_ACCESS_KEY_ID"));
    check_untouched();
}

}  // namespace
}  // namespace litestream::test
