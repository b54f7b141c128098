// Wall-clock times: milliseconds since the Unix epoch, and their text form YYYY-MM-DDTHH:MM:SS.SSSZ.
// Reentrant.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shared/base/result.h"

namespace litestream {

std::int64_t wall_clock_ms();
// Never goes back, unrelated to the time of day; for deadlines and intervals.
std::int64_t steady_clock_ms();

std::string format_time(std::int64_t time_ms);
// RFC 3339 with 'Z' or a numeric offset; 0 to 9 digits of a second (cut to milliseconds). kInput otherwise.
Result<std::int64_t> parse_time(std::string_view text);

}  // namespace litestream
