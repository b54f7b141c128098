#include "ext/options.h"

#include <doctest/doctest.h>

#include "ext/sql_value.h"
#include "shared/base/clock.h"

namespace litestream {
namespace {

std::string replicate_error(const std::string& url, const std::string& options) {
    const auto parsed = parse_replicate_options(url, options);
    return parsed ? "" : parsed.error().message;
}

std::string restore_error(const std::string& options, const std::string& url = "file:///b") {
    const auto parsed = parse_restore_options(url, options);
    return parsed ? "" : parsed.error().message;
}

RestoreOptions restore_options(const std::string& options) {
    auto parsed = parse_restore_options("file:///b", options);
    REQUIRE(parsed);
    return parsed->options;
}

TEST_CASE("without options a replica has no name yet and a second of interval") {
    const auto parsed = parse_replicate_options("file:///b", std::nullopt);

    REQUIRE(parsed);
    CHECK(parsed->spec.name.empty());
    CHECK(parsed->spec.sync_interval_ms == 1000);
    CHECK(parsed->url.path == "/b");
}

TEST_CASE("options may stand in the object or in the query, which is then rid of them") {
    const auto in_object = parse_replicate_options("file:///b", R"({"name":"n","sync_interval":"250ms"})");
    const auto in_query =
        parse_replicate_options("file:///b?name=n&sync_interval=0.25&other=1", std::nullopt);

    REQUIRE(in_object);
    REQUIRE(in_query);
    CHECK(in_object->spec.name == "n");
    CHECK(in_query->spec.name == "n");
    CHECK(in_object->spec.sync_interval_ms == 250);
    CHECK(in_query->spec.sync_interval_ms == 250);
    REQUIRE(in_query->url.query.size() == 1);
    CHECK(in_query->url.query[0].first == "other");
}

TEST_CASE("an interval may be a number of seconds, a fraction or nothing") {
    CHECK(parse_replicate_options("file:///b", R"({"sync_interval":2})")->spec.sync_interval_ms == 2000);
    CHECK(parse_replicate_options("file:///b", R"({"sync_interval":0.5})")->spec.sync_interval_ms == 500);
    CHECK(parse_replicate_options("file:///b", R"({"sync_interval":0})")->spec.sync_interval_ms == 0);
    CHECK(parse_replicate_options("file:///b", R"({"sync_interval":null})")->spec.sync_interval_ms == 1000);
}

TEST_CASE("every option of a replica may stand in either place") {
    const auto in_object = parse_replicate_options(
        "file:///b", R"({"snapshot_interval":"6h","retention":60,"validation_interval":"1h","adopt":true})");
    const auto in_query = parse_replicate_options(
        "file:///b?snapshot_interval=6h&retention=60&validation_interval=1h&adopt=true", std::nullopt);
    const auto neither = parse_replicate_options("file:///b", std::nullopt);

    REQUIRE((in_object && in_query && neither));
    CHECK(in_object->spec == in_query->spec);
    CHECK((in_object->adopt && in_query->adopt));
    CHECK(in_query->spec.snapshot_interval_ms == 6 * 3600 * 1000);
    CHECK(in_query->spec.retention_ms == 60'000);
    CHECK(in_query->spec.validation_interval_ms == 3600 * 1000);
    CHECK(neither->spec.snapshot_interval_ms == kDayMs);
    CHECK(neither->spec.retention_ms == kDayMs);
    CHECK(neither->spec.validation_interval_ms == 0);
    CHECK_FALSE(neither->adopt);
}

TEST_CASE("object and query may say the same, not different things") {
    CHECK(parse_replicate_options("file:///b?sync_interval=1", R"({"sync_interval":"1000ms"})"));
    CHECK(replicate_error("file:///b?sync_interval=2", R"({"sync_interval":"1s"})") ==
          "\"sync_interval\" is one thing in the URL's query and another in the options");
    CHECK(replicate_error("file:///b?name=x", R"({"name":"y"})") ==
          "\"name\" is one thing in the URL's query and another in the options");
    CHECK(replicate_error("file:///b?name=x&name=y", "{}") == "file:///b: the query says \"name\" twice");
}

TEST_CASE("bad replicate options are named") {
    CHECK(replicate_error("file:///b", R"({"nmae":"x"})") ==
          "unknown option \"nmae\"; known are name, sync_interval, snapshot_interval, retention, "
          "validation_interval, adopt");
    CHECK(replicate_error("file:///b", R"({"adopt":"yes"})") == "option \"adopt\" must be true or false");
    CHECK(replicate_error("file:///b?adopt=yes", "{}") == "option \"adopt\" must be true or false");
    CHECK(replicate_error("file:///b", R"({"name":7})") == "option \"name\" must be text");
    CHECK(replicate_error("file:///b", R"({"name":""})") ==
          "\"\" is no name for a replica: letters, digits, '.', '_' and '-', at most 64");
    CHECK(replicate_error("file:///b", R"({"name":"../x"})").find("is no name for a replica") !=
          std::string::npos);
    CHECK(replicate_error("file:///b", R"({"sync_interval":true})") ==
          "option \"sync_interval\" must be a duration, such as \"10s\" or 10");
    CHECK(replicate_error("file:///b", R"({"sync_interval":-1})") ==
          "option \"sync_interval\": must be 0 to ten years of seconds");
    CHECK(replicate_error("file:///b", R"({"sync_interval":"soon"})")
              .starts_with("option \"sync_interval\": "));
    CHECK(replicate_error("file:///b", "[]").starts_with("options must be a JSON object"));
    CHECK(replicate_error("file:///b", "{").starts_with("options is no valid JSON"));
}

TEST_CASE("what only a store needs goes into the query of its URL, wherever it stood") {
    const auto in_object = parse_replicate_options(
        "s3://b/p", R"({"name":"n","endpoint":"https://m:1","region":"r","force_path_style":true,)"
                    R"("allow_http":false,"skip_verify":true,"parallelism":4})");
    const auto in_query = parse_replicate_options(
        "s3://b/p?endpoint=https://m:1&region=r&force_path_style=true&allow_http=false&skip_verify=true&"
        "parallelism=4&name=n",
        std::nullopt);

    REQUIRE((in_object && in_query));
    CHECK(in_object->url.query == in_query->url.query);
    CHECK(in_object->url.query.size() == 6);
    CHECK(in_object->spec == in_query->spec);
    CHECK(parse_replica_url("s3://b/p?region=r&name=n&retention=1h")->query.size() == 1);
}

TEST_CASE("an option of a store may stand twice if it says the same") {
    const auto same = parse_replicate_options("s3://b/p?region=r", R"({"region":"r","endpoint":null})");

    REQUIRE(same);
    CHECK(same->url.query.size() == 1);
    CHECK(replicate_error("s3://b/p?region=r", R"({"region":"q"})") ==
          "\"region\" is one thing in the URL's query and another in the options");
}

TEST_CASE("bad options of a store are named, with what its scheme takes") {
    CHECK(replicate_error("s3://b/p", R"({"regoin":"x"})") ==
          "unknown option \"regoin\"; known are name, sync_interval, snapshot_interval, retention, "
          "validation_interval, adopt, endpoint, region, force_path_style, allow_http, skip_verify, "
          "parallelism");
    CHECK(replicate_error("file:///b", R"({"endpoint":"x"})") ==
          "unknown option \"endpoint\"; known are name, sync_interval, snapshot_interval, retention, "
          "validation_interval, adopt");
    CHECK(replicate_error("s3://b/p", R"({"region":1})") == "option \"region\" must be text");
    CHECK(replicate_error("s3://b/p", R"({"allow_http":"true"})") ==
          "option \"allow_http\" must be true or false");
    CHECK(replicate_error("s3://b/p", R"({"parallelism":"4"})") == "option \"parallelism\" must be a number");
    CHECK(replicate_error("s3://b/p", R"({"secret_access_key":"s3cret"})").find("s3cret") ==
          std::string::npos);
}

TEST_CASE("credentials that are missing or wrong are SQLITE_AUTH") {
    CHECK(sqlite_code(ErrorCode::kAuth) == SQLITE_AUTH);
}

TEST_CASE("restore takes a time, an index as number or as hex, and a position") {
    const std::string position = "0123456789abcdef/0000000000000002:0000000000001038";

    CHECK(restore_options(R"({"timestamp":"1970-01-01T00:00:01Z"})").timestamp_ms == 1000);
    CHECK(restore_options(R"({"index":16})").index == 16);
    CHECK(restore_options(R"({"index":"10"})").index == 16);
    CHECK(restore_options(R"({"position":")" + position + "\"}").position->to_string() == position);
    CHECK(restore_options(R"({"generation":"0123456789abcdef"})").generation == "0123456789abcdef");
}

TEST_CASE("the switches of restore are off unless they are set") {
    const auto off = parse_restore_options("file:///b", std::nullopt);
    const auto on = parse_restore_options(
        "file:///b", R"({"if_db_not_exists":true,"if_replica_exists":true,"progress":true})");

    REQUIRE(off);
    REQUIRE(on);
    CHECK_FALSE((off->if_db_not_exists || off->if_replica_exists || off->progress));
    CHECK((on->if_db_not_exists && on->if_replica_exists && on->progress));
}

TEST_CASE("bad restore options are named") {
    CHECK(restore_error(R"({"timestmap":"x"})")
              .starts_with("unknown option \"timestmap\"; known are timestamp, "));
    CHECK(restore_error(R"({"timestamp":"yesterday"})")
              .starts_with("option \"timestamp\": cannot parse the time \"yesterday\""));
    CHECK(restore_error(R"({"timestamp":5})") ==
          "option \"timestamp\" must be a time, such as \"2026-11-23T09:00:00Z\"");
    CHECK(restore_error(R"({"position":"x"})").starts_with("option \"position\": invalid position \"x\""));
    CHECK(restore_error(R"({"generation":"x"})") ==
          "option \"generation\": \"x\" is not 16 hex digits 0-9a-f");
    CHECK(restore_error(R"({"index":"xyz"})") == "option \"index\": cannot parse index: \"xyz\"");
    CHECK(restore_error(R"({"index":-1})") == "option \"index\": it must be a whole number from 0 on");
    CHECK(restore_error(R"({"index":"80000000"})") == "option \"index\" is too large: 2147483648");
    CHECK(restore_error(R"({"parallelism":0})") ==
          "option \"parallelism\" must be a whole number from 1 to 64");
    CHECK(restore_error(R"({"progress":"yes"})") == "option \"progress\" must be true or false");
}

TEST_CASE("who reads a replica may say in the options what its store needs") {
    const std::string url = "s3://b/p?name=n&region=r";
    const std::string options = R"({"endpoint":"https://m:1","parallelism":4})";

    const auto restore = parse_restore_options(url, options);
    const auto validate = parse_validate_options(url, options);
    const auto list = parse_listing_options(url, options);

    REQUIRE((restore && validate && list));
    CHECK(restore->url.to_string() == "s3://b/p");
    CHECK(restore->url.query.size() == 2);  // how many requests at a time is no part of where it is
    CHECK(restore->options.parallelism == 4);
    CHECK(validate->url.query == restore->url.query);
    CHECK(validate->options.parallelism == 4);
    CHECK(list->query == restore->url.query);
}

TEST_CASE("who reads a replica is told which options there are, and which disagree") {
    CHECK(restore_error(R"({"parallelism":4})", "s3://b/p?parallelism=5") ==
          "\"parallelism\" is one thing in the URL's query and another in the options");
    CHECK(restore_error(R"({"parallelism":65})", "s3://b/p") ==
          "option \"parallelism\" must be a whole number from 1 to 64");
    CHECK(restore_error(R"({"parallelism":1.5})").find("must be a whole number") != std::string::npos);
    CHECK(restore_error(R"({"region":"r"})").starts_with("unknown option \"region\""));
    CHECK(parse_validate_options("s3://b/p", R"({"name":"n"})").error().message ==
          "unknown option \"name\"; known are position, parallelism, endpoint, region, force_path_style, "
          "allow_http, skip_verify");
    CHECK(parse_listing_options("file:///b", R"({"region":"r"})").error().message ==
          "unknown option \"region\"; there are none for this URL");
}

TEST_CASE("restore has one target") {
    CHECK(restore_error(R"({"index":1,"timestamp":"2026-11-23T09:00:00Z"})") ==
          "give only one of the options \"timestamp\", \"index\" and \"position\"");
    CHECK(restore_error(R"({"generation":"0123456789abcdef",)"
                        R"("position":"1123456789abcdef/0000000000000002:0000000000001038"})") ==
          "options \"position\" and \"generation\" name different generations");
}

}  // namespace
}  // namespace litestream
