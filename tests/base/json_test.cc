#include "shared/base/json.h"

#include <doctest/doctest.h>

#include <boost/json.hpp>

using namespace litestream;

namespace {

std::string error_of(std::string_view text) {
    boost::json::object object;
    const Status status = parse_json_object(text, "options", object);
    REQUIRE_FALSE(status);
    CHECK(status.error().code == ErrorCode::kInput);
    CHECK(object.empty());
    return status.error().message;
}

std::string nested(int levels) {
    std::string text = "{\"a\":";
    for (int i = 1; i < levels; i++) text += '[';
    for (int i = 1; i < levels; i++) text += ']';
    return text + "}";
}

}  // namespace

TEST_CASE("a value prints indented, keys in the order in which they were put in") {
    const boost::json::object value = {
        {"b", 1}, {"a", {1, "x", nullptr}}, {"empty", boost::json::object()}, {"none", boost::json::array()}};

    CHECK(to_indented_json(value) ==
          "{\n"
          "  \"b\": 1,\n"
          "  \"a\": [\n"
          "    1,\n"
          "    \"x\",\n"
          "    null\n"
          "  ],\n"
          "  \"empty\": {},\n"
          "  \"none\": []\n"
          "}");
}

TEST_CASE("keys and texts are escaped") {
    CHECK(to_indented_json(boost::json::object{{"a\"b", "c\n"}}) == "{\n  \"a\\\"b\": \"c\\n\"\n}");
}

TEST_CASE("bytes that are no UTF-8 are replaced, one by one") {
    CHECK(to_utf8("") == "");
    CHECK(to_utf8("a\u00e9\u20ac\U0001f600") == "a\u00e9\u20ac\U0001f600");
    CHECK(to_utf8("a\xff"
                  "b") ==
          "a\ufffd"
          "b");
    CHECK(to_utf8("\xe2\x82") == "\ufffd\ufffd");                      // cut short
    CHECK(to_utf8("\xc0\xaf") == "\ufffd\ufffd");                      // overlong
    CHECK(to_utf8("\xed\xa0\x80") == "\ufffd\ufffd\ufffd");            // a surrogate
    CHECK(to_utf8("\xf4\x90\x80\x80") == "\ufffd\ufffd\ufffd\ufffd");  // behind U+10FFFF
    boost::json::object back;
    REQUIRE(parse_json_object(to_indented_json({{"path",
                                                 "/a\xff"
                                                 "b"}}),
                              "path", back));
    CHECK(back.at("path") ==
          "/a\ufffd"
          "b");
}

TEST_CASE("an object parses into its members") {
    boost::json::object object;

    CHECK(parse_json_object(R"( {"timeout": "1s", "progress": true} )", "options", object));

    CHECK(object.at("timeout") == "1s");
    CHECK(object.at("progress") == true);
}

TEST_CASE("what is printed parses back") {
    const boost::json::object value = {{"a", {1, 2.5, "x"}}, {"b", {{"c", nullptr}}}};
    boost::json::object back;

    REQUIRE(parse_json_object(to_indented_json(value), "value", back));

    CHECK(back == value);
}

TEST_CASE("what is no object is refused with its place") {
    CHECK(error_of("{\"a\":1").starts_with("options is no valid JSON: "));
    CHECK(error_of("{\"a\":x}").ends_with(" at byte 6"));
    CHECK(error_of("{} {}").ends_with(" at byte 4"));
    CHECK(error_of("").starts_with("options is no valid JSON: "));
    CHECK(error_of("[1]").starts_with("options must be a JSON object"));
    CHECK(error_of("\"a\"").starts_with("options must be a JSON object"));
    CHECK(error_of("{\"a\":\"\xff\"}").starts_with("options is no valid JSON: "));
}

TEST_CASE("depth and size are bounded") {
    boost::json::object object;

    CHECK(parse_json_object(nested(32), "options", object));
    object.clear();
    CHECK(error_of(nested(33)).starts_with("options is no valid JSON: "));
    CHECK(error_of(std::string(2u << 20, ' ')) == "options is longer than 1048576 bytes");
}
