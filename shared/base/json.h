// JSON for people: an indented text of a value. Reentrant. Files that build or read JSON include
// <boost/json.hpp> themselves; headers do not, since it costs seconds per file.
#pragma once

#include <string>
#include <string_view>

#include "shared/base/result.h"

namespace boost::json {
class value;
class object;
}  // namespace boost::json

namespace litestream {

// Two spaces a level, keys in insertion order, no newline at the end. JSON is UTF-8; a path need not be: see
// to_utf8().
std::string to_indented_json(const boost::json::value& value);

// The text with U+FFFD for every byte that is part of no valid UTF-8 sequence.
std::string to_utf8(std::string_view text);

// Parse one JSON object into `out`; anything else is kInput, and the message names `what` and the place.
// Depth and size are bounded (32 levels, 1 MiB).
Status parse_json_object(std::string_view text, std::string_view what, boost::json::object& out);

// The string under `key`; "" where there is none or something else.
std::string json_text(const boost::json::object& object, const char* key);

}  // namespace litestream
