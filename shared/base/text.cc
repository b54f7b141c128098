#include "shared/base/text.h"

#include <algorithm>
#include <limits>

namespace litestream {
namespace {

constexpr std::int64_t kMaxDurationMs = std::int64_t{10} * 365 * 24 * 3600 * 1000;

struct Unit {
    std::string_view suffix;
    std::int64_t ms;
};
constexpr Unit kUnits[] = {{"h", 3600 * 1000}, {"m", 60 * 1000}, {"s", 1000}, {"ms", 1}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::string_view take_digits(std::string_view& text) {
    const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
    const std::string_view digits = text.substr(0, static_cast<std::size_t>(end - text.begin()));
    text.remove_prefix(digits.size());
    return digits;
}

Error duration_error(std::string_view text) {
    return bad_input(
        "cannot parse the duration \"" + std::string(text) +
        "\": expected \"500ms\", \"1.5s\", \"10m\", \"24h\" or a number of seconds, at most ten years");
}

const Unit* find_unit(std::string_view suffix) {
    if (suffix.empty()) suffix = "s";
    const Unit* unit = std::find_if(std::begin(kUnits), std::end(kUnits),
                                    [&](const Unit& candidate) { return candidate.suffix == suffix; });
    return unit == std::end(kUnits) ? nullptr : unit;
}

// The part behind the decimal point in milliseconds, cut; digits past the twelfth cannot matter.
std::int64_t fraction_ms(std::string_view digits, std::int64_t unit_ms) {
    std::int64_t scaled = 0;
    std::int64_t scale = 1;
    for (const char c : digits.substr(0, 9)) {
        scaled = scaled * 10 + (c - '0');
        scale *= 10;
    }
    return scaled * unit_ms / scale;
}

}  // namespace

std::string to_hex(ByteView bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const std::uint8_t byte : bytes) {
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

bool is_lower_hex(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

std::string to_hex16(std::uint64_t value) {
    std::uint8_t bytes[8];
    store_be64(bytes, value);
    return to_hex(bytes);
}

std::string to_lower(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return lower;
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r\n";
    text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

Result<std::uint64_t> parse_hex(std::string_view text, std::string_view what) {
    const auto is_hex = [](char c) { return hex_digit(c) >= 0; };
    if (text.empty() || !std::all_of(text.begin(), text.end(), is_hex)) {
        return bad_input("cannot parse " + std::string(what) + ": \"" + std::string(text) + "\"");
    }
    constexpr std::uint64_t kHighest = std::numeric_limits<std::int64_t>::max();
    std::uint64_t value = 0;
    for (const char c : text) {
        if (value > kHighest >> 4)
            return bad_input(std::string(what) + " too large: \"" + std::string(text) + "\"");
        value = value << 4 | static_cast<std::uint64_t>(hex_digit(c));
    }
    return value;
}

Result<std::int64_t> parse_duration_ms(std::string_view text) {
    std::string_view rest = text;
    const std::string_view whole = take_digits(rest);
    std::string_view fraction;
    if (!whole.empty() && rest.starts_with('.')) {
        rest.remove_prefix(1);
        fraction = take_digits(rest);
        if (fraction.empty()) return duration_error(text);
    }
    const Unit* unit = find_unit(rest);
    if (whole.empty() || unit == nullptr) return duration_error(text);
    std::int64_t value = 0;
    for (const char c : whole) {
        value = value * 10 + (c - '0');
        if (value > kMaxDurationMs / unit->ms) return duration_error(text);
    }
    const std::int64_t duration_ms = value * unit->ms + fraction_ms(fraction, unit->ms);
    if (duration_ms > kMaxDurationMs) return duration_error(text);
    return duration_ms;
}

std::string format_duration(std::int64_t duration_ms) {
    if (duration_ms == 0) return "0s";
    const Unit* unit = std::find_if(std::begin(kUnits), std::end(kUnits),
                                    [&](const Unit& candidate) { return duration_ms % candidate.ms == 0; });
    return std::to_string(duration_ms / unit->ms).append(unit->suffix);
}

std::string percent_encode(std::string_view text, std::string_view also_plain) {
    constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    constexpr const char* kDigits = "0123456789ABCDEF";
    std::string encoded;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (kPlain.find(c) != std::string_view::npos || also_plain.find(c) != std::string_view::npos) {
            encoded += c;
        } else {
            encoded += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
        }
    }
    return encoded;
}

}  // namespace litestream
