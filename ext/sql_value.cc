#include "ext/sql_value.h"

#include <cmath>

#include "shared/base/text.h"

namespace litestream {
namespace {

constexpr double kTenYearsSeconds = 10.0 * 365 * 24 * 3600;

struct ResultSetter {
    sqlite3_context* context;
    void operator()(std::monostate) const { sqlite3_result_null(context); }
    void operator()(std::int64_t value) const { sqlite3_result_int64(context, value); }
    void operator()(double value) const { sqlite3_result_double(context, value); }
    void operator()(const std::string& text) const {
        sqlite3_result_text64(context, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    }
};

std::string text_of(sqlite3_value* value) {
    const unsigned char* text = sqlite3_value_text(value);
    if (text == nullptr) return "";
    return {reinterpret_cast<const char*>(text), static_cast<std::size_t>(sqlite3_value_bytes(value))};
}

}  // namespace

SqlValue text_or_null(std::string text) {
    if (text.empty()) return std::monostate();
    return text;
}

int sqlite_code(ErrorCode code) {
    switch (code) {
        case ErrorCode::kInput:
        case ErrorCode::kNotFound:
            return SQLITE_ERROR;
        case ErrorCode::kExists:
        case ErrorCode::kCantOpen:
            return SQLITE_CANTOPEN;
        case ErrorCode::kIo:
            return SQLITE_IOERR;
        case ErrorCode::kCorrupt:
            return SQLITE_CORRUPT;
        case ErrorCode::kBusy:
            return SQLITE_BUSY;
        case ErrorCode::kInterrupt:
            return SQLITE_INTERRUPT;
        case ErrorCode::kAuth:
            return SQLITE_AUTH;
    }
    return SQLITE_ERROR;
}

Error sqlite_error(int code, const std::string& message) {
    switch (code & 0xff) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return {ErrorCode::kBusy, message};
        case SQLITE_INTERRUPT:
            return {ErrorCode::kInterrupt, message};
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return {ErrorCode::kCorrupt, message};
        case SQLITE_CANTOPEN:
            return {ErrorCode::kCantOpen, message};
        case SQLITE_IOERR:
        case SQLITE_FULL:
            return {ErrorCode::kIo, message};
        default:
            return bad_input(message);
    }
}

void set_result(sqlite3_context* context, const SqlValue& value) { std::visit(ResultSetter{context}, value); }

void set_error(sqlite3_context* context, const Error& error) {
    sqlite3_result_error(context, error.message.c_str(), -1);
    sqlite3_result_error_code(context, sqlite_code(error.code));
}

Result<std::int64_t> seconds_to_ms(double seconds) {
    if (!(seconds >= 0 && seconds <= kTenYearsSeconds)) return bad_input("must be 0 to ten years of seconds");
    return static_cast<std::int64_t>(std::llround(seconds * 1000));
}

Result<std::int64_t> duration_of(sqlite3_value* value) {
    switch (sqlite3_value_type(value)) {
        case SQLITE_INTEGER:
        case SQLITE_FLOAT:
            return seconds_to_ms(sqlite3_value_double(value));
        case SQLITE_TEXT:
            return parse_duration_ms(text_of(value));
        default:
            return bad_input("must be a duration, such as 10 or '10s'");
    }
}

Result<std::string> Call::text(int i, const char* argument) const {
    LITESTREAM_ASSIGN(auto text, optional_text(i, argument));
    if (!text) return bad(std::string(argument) + " must not be NULL");
    return *std::move(text);
}

Result<std::optional<std::string>> Call::optional_text(int i, const char* argument) const {
    if (!has(i)) return std::optional<std::string>();
    if (sqlite3_value_type(values_[i]) != SQLITE_TEXT) return bad(std::string(argument) + " must be text");
    std::string text = text_of(values_[i]);
    if (text.find('\0') != std::string::npos) return bad(std::string(argument) + " must not hold a NUL");
    return std::optional(std::move(text));
}

Result<bool> Call::flag(int i, const char* argument) const {
    if (!has(i)) return bad(std::string(argument) + " must not be NULL");
    const bool is_integer = sqlite3_value_type(values_[i]) == SQLITE_INTEGER;
    const sqlite3_int64 value = is_integer ? sqlite3_value_int64(values_[i]) : -1;
    if (value != 0 && value != 1) return bad(std::string(argument) + " must be 0 or 1");
    return value == 1;
}

Result<std::int64_t> Call::duration_ms(int i, const char* argument, std::int64_t otherwise_ms) const {
    if (!has(i)) return otherwise_ms;
    auto duration = duration_of(values_[i]);
    if (!duration) return in_call(std::move(duration).error().context(argument));
    return duration;
}

}  // namespace litestream
