#include "shared/base/json.h"

#include <boost/json.hpp>

namespace litestream {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxJsonDepth = 32;
constexpr std::size_t kMaxJsonSize = 1u << 20;

void append_value(std::string& out, const json::value& value, std::size_t depth);

void append_line(std::string& out, std::size_t depth) { out.append("\n").append(depth * 2, ' '); }

void append_array(std::string& out, const json::array& array, std::size_t depth) {
    if (array.empty()) {
        out += "[]";
        return;
    }
    char separator = '[';
    for (const json::value& value : array) {
        out += separator;
        append_line(out, depth + 1);
        append_value(out, value, depth + 1);
        separator = ',';
    }
    append_line(out, depth);
    out += ']';
}

void append_object(std::string& out, const json::object& object, std::size_t depth) {
    if (object.empty()) {
        out += "{}";
        return;
    }
    char separator = '{';
    for (const auto& [key, value] : object) {
        out += separator;
        append_line(out, depth + 1);
        out += json::serialize(json::string_view(key)) + ": ";
        append_value(out, value, depth + 1);
        separator = ',';
    }
    append_line(out, depth);
    out += '}';
}

void append_value(std::string& out, const json::value& value, std::size_t depth) {
    if (value.is_array()) {
        append_array(out, value.get_array(), depth);
    } else if (value.is_object()) {
        append_object(out, value.get_object(), depth);
    } else {
        out += json::serialize(value);
    }
}

}  // namespace

std::string to_indented_json(const json::value& value) {
    std::string out;
    append_value(out, value, 0);
    return out;
}

Status parse_json_object(std::string_view text, std::string_view what, json::object& out) {
    const std::string name(what);
    if (text.size() > kMaxJsonSize) {
        return bad_input(name + " is longer than " + std::to_string(kMaxJsonSize) + " bytes");
    }
    json::parse_options options;
    options.max_depth = kMaxJsonDepth;
    json::stream_parser parser(json::storage_ptr(), options);
    json::error_code error;
    const std::size_t used = parser.write_some(text.data(), text.size(), error);
    if (!error && used < text.size()) error = json::error::extra_data;
    if (!error) parser.finish(error);
    if (error) {
        return bad_input(name + " is no valid JSON: " + error.message() + " at byte " +
                         std::to_string(used + 1));
    }
    json::value value = parser.release();
    if (!value.is_object()) return bad_input(name + " must be a JSON object, such as {\"name\": \"value\"}");
    out = std::move(value.get_object());
    return {};
}

}  // namespace litestream
