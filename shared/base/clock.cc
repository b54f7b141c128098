#include "shared/base/clock.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace litestream {
namespace {

namespace chrono = std::chrono;
using chrono::milliseconds;

constexpr chrono::sys_time<milliseconds> kFirstTime = chrono::sys_days(chrono::year(0) / 1 / 1);
constexpr chrono::sys_time<milliseconds> kLastTime =
    chrono::sys_days(chrono::year(9999) / 12 / 31) + chrono::hours(24) - milliseconds(1);

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes one text from its front; after the first mismatch everything is refused.
class Reader {
  public:
    explicit Reader(std::string_view text) : rest_(text) {}

    bool ok() const { return ok_; }
    bool at_end() const { return rest_.empty(); }

    // Exactly `digits` digits, at most `highest`.
    int number(int digits, int highest) {
        int value = 0;
        for (int i = 0; i < digits; i++) value = value * 10 + digit();
        if (value > highest) ok_ = false;
        return value;
    }
    // One character out of `choice`.
    char one_of(std::string_view choice) {
        if (rest_.empty() || choice.find(rest_.front()) == std::string_view::npos) return fail();
        return take();
    }
    bool skip(char c) {
        if (rest_.empty() || rest_.front() != c) return false;
        take();
        return true;
    }
    // 1 to 9 digits behind the decimal point.
    int fraction_ms() {
        int value = 0;
        int digits = 0;
        for (; digits < 9 && !rest_.empty() && is_digit(rest_.front()); digits++) {
            const int d = digit();
            if (digits < 3) value = value * 10 + d;
        }
        if (digits == 0) ok_ = false;
        for (; digits < 3; digits++) value *= 10;
        return value;
    }

  private:
    char take() {
        const char c = rest_.front();
        rest_.remove_prefix(1);
        return c;
    }
    char fail() {
        ok_ = false;
        rest_ = {};
        return 0;
    }
    int digit() {
        if (rest_.empty() || !is_digit(rest_.front())) return fail();
        return take() - '0';
    }
    std::string_view rest_;
    bool ok_ = true;
};

chrono::minutes read_zone(Reader& in) {
    const char sign = in.one_of("Zz+-");
    if (sign == 'Z' || sign == 'z') return {};
    const int hours = in.number(2, 23);
    in.one_of(":");
    const chrono::minutes offset(hours * 60 + in.number(2, 59));
    return sign == '-' ? -offset : offset;
}

}  // namespace

std::int64_t wall_clock_ms() {
    return chrono::duration_cast<milliseconds>(chrono::system_clock::now().time_since_epoch()).count();
}

std::int64_t steady_clock_ms() {
    return chrono::duration_cast<milliseconds>(chrono::steady_clock::now().time_since_epoch()).count();
}

std::string format_time(std::int64_t time_ms) {
    const auto time =
        std::clamp(chrono::sys_time<milliseconds>(milliseconds(time_ms)), kFirstTime, kLastTime);
    const auto day = chrono::floor<chrono::days>(time);
    const chrono::year_month_day date(day);
    const chrono::hh_mm_ss<milliseconds> clock(time - day);
    char text[64];
    std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                  static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
    return text;
}

Result<std::int64_t> parse_time(std::string_view text) {
    Reader in(text);
    const chrono::year year(in.number(4, 9999));
    in.one_of("-");
    const chrono::month month(static_cast<unsigned>(in.number(2, 12)));
    in.one_of("-");
    const chrono::day day(static_cast<unsigned>(in.number(2, 31)));
    in.one_of("Tt ");
    const chrono::hours hours(in.number(2, 23));
    in.one_of(":");
    const chrono::minutes minutes(in.number(2, 59));
    in.one_of(":");
    const chrono::seconds seconds(in.number(2, 59));
    const milliseconds fraction(in.skip('.') ? in.fraction_ms() : 0);
    const chrono::minutes zone = read_zone(in);
    const chrono::year_month_day date(year, month, day);
    if (!in.ok() || !in.at_end() || !date.ok()) {
        return bad_input("cannot parse the time \"" + std::string(text) +
                         "\": expected YYYY-MM-DDTHH:MM:SS[.SSS]Z or a numeric offset instead of Z");
    }
    const milliseconds time =
        chrono::sys_days(date).time_since_epoch() + hours + minutes + seconds + fraction - zone;
    return time.count();
}

}  // namespace litestream
