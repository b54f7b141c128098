// Small text conversions that formats and options share. Reentrant.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shared/base/bytes.h"
#include "shared/base/result.h"

namespace litestream {

std::string to_hex(ByteView bytes);         // lower case
bool is_lower_hex(std::string_view text);   // only 0-9a-f; true for ""
std::string to_hex16(std::uint64_t value);  // 16 digits, zero-padded
// Base-16, any number of digits, either case. `what` ("index") names it in the messages
// `cannot parse WHAT: "X"` and `WHAT too large: "X"` (above 2^63-1); formats/litestream-e6f7c60 section 0.
Result<std::uint64_t> parse_hex(std::string_view text, std::string_view what);

std::string to_lower(std::string_view text);      // A-Z only, whatever the locale is
std::string_view trimmed(std::string_view text);  // without blanks and line ends on either side

// "500ms", "1s", "1.5s", "10m", "24h" or a plain number of seconds; in milliseconds, 0 to ten years.
// kInput says what is accepted.
Result<std::int64_t> parse_duration_ms(std::string_view text);
std::string format_duration(std::int64_t duration_ms);  // "24h", "90s", "500ms": parses back

// Everything but A-Z a-z 0-9 - . _ ~ and `also_plain` becomes %XX: fit for the path of a URI as it is, for a
// value in a query with "".
std::string percent_encode(std::string_view text, std::string_view also_plain = "/");

}  // namespace litestream
