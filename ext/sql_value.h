// SqlValue and Call: what goes into and comes out of a SQL function or table of ours, and how an Error of
// ours becomes an error of SQLite's. A function's body sees a Call and returns Result<SqlValue>; nothing else
// of ours touches sqlite3_value or sqlite3_context.
//
// Arguments are checked here once: a required NULL, a wrong type and a text with a NUL inside are errors that
// name the function and the argument; one that is left out is the same as NULL.
//
// Thread-bound: a Call lives for one call, on its connection's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "shared/base/result.h"
#include "vfs/sqlite.h"

namespace litestream {

using SqlValue = std::variant<std::monostate, std::int64_t, double, std::string>;  // monostate: NULL

// An empty text is NULL.
SqlValue text_or_null(std::string text);

int sqlite_code(ErrorCode code);
// The other way round, for SQL that we run ourselves.
Error sqlite_error(int code, const std::string& message);

void set_result(sqlite3_context* context, const SqlValue& value);
void set_error(sqlite3_context* context, const Error& error);

// Seconds as SQL or JSON gives them; kInput outside 0 to ten years.
Result<std::int64_t> seconds_to_ms(double seconds);
// "1s", "250ms": any text or number that stands for a duration.
Result<std::int64_t> duration_of(sqlite3_value* value);

class Call {
  public:
    Call(const char* function, sqlite3_context* context, int count, sqlite3_value** values)
        : function_(function), context_(context), count_(count), values_(values) {}

    sqlite3* connection() const { return sqlite3_context_db_handle(context_); }
    bool has(int i) const { return i < count_ && sqlite3_value_type(values_[i]) != SQLITE_NULL; }

    Result<std::string> text(int i, const char* argument) const;
    Result<std::optional<std::string>> optional_text(int i, const char* argument) const;
    Result<bool> flag(int i, const char* argument) const;  // 0 or 1
    Result<std::int64_t> duration_ms(int i, const char* argument, std::int64_t otherwise_ms) const;

    // `litestream_x: MESSAGE`
    Error bad(const std::string& message) const { return in_call(bad_input(message)); }
    Error in_call(Error error) const { return std::move(error).context(function_); }

  private:
    const char* const function_;
    sqlite3_context* const context_;
    const int count_;
    sqlite3_value** const values_;
};

}  // namespace litestream
