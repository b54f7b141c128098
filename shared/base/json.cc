#include "shared/base/json.h"

#include <algorithm>
#include <boost/json.hpp>

namespace litestream {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxJsonDepth = 32;
constexpr std::size_t kMaxJsonSize = 1u << 20;

// Of the UTF-8 sequence at the start of a text that is not empty; 0: there is none. The second byte is where
// overlong forms, surrogates and what lies behind U+10FFFF are told (RFC 3629).
std::size_t sequence_size(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    if (first < 0x80) return 1;
    const std::size_t size = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (size == 0 || text.size() < size) return 0;
    const unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (byte(1) < low || byte(1) > high) return 0;
    for (std::size_t i = 2; i < size; ++i) {
        if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
    }
    return size;
}

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
    return to_utf8(out);
}

std::string to_utf8(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::size_t size = sequence_size(text);
        out += size > 0 ? text.substr(0, size) : "\xef\xbf\xbd";
        text.remove_prefix(std::max<std::size_t>(size, 1));
    }
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

std::string json_text(const json::object& object, const char* key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

}  // namespace litestream
