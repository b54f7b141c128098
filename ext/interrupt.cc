#include "ext/interrupt.h"

#include <algorithm>
#include <limits>

#include "shared/base/clock.h"

namespace litestream {
namespace {

// Those who wait ask every 250 ms; a little less here, so that no question of theirs falls through.
constexpr std::int64_t kAskEveryMs = 200;

bool is_statement_interrupted(sqlite3* connection) {
    sqlite3_stmt* statement = nullptr;
    int code = sqlite3_prepare_v2(connection, "SELECT 1", -1, &statement, nullptr);
    if (code == SQLITE_OK) code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return code == SQLITE_INTERRUPT;
}

bool ask(sqlite3* connection) {
#if SQLITE_VERSION_NUMBER >= 3041000
    if (sqlite3_libversion_number() >= 3041000) return sqlite3_is_interrupted(connection) != 0;
#endif
    return is_statement_interrupted(connection);
}

}  // namespace

Waiting::Waiting(sqlite3* connection, std::int64_t timeout_ms)
    : connection_(connection), deadline_ms_(steady_clock_ms() + timeout_ms) {}

int Waiting::left_ms() const {
    constexpr std::int64_t kMost = std::numeric_limits<int>::max();
    return static_cast<int>(std::clamp<std::int64_t>(deadline_ms_ - steady_clock_ms(), 0, kMost));
}

bool Waiting::is_interrupted() {
    const std::int64_t now_ms = steady_clock_ms();
    if (!interrupted_ && now_ms >= next_ask_ms_) {
        interrupted_ = ask(connection_);
        next_ask_ms_ = now_ms + kAskEveryMs;
    }
    return interrupted_;
}

Error Waiting::failure(const std::string& late) {
    if (is_interrupted()) return {ErrorCode::kInterrupt, "interrupted"};
    return {ErrorCode::kBusy, late};
}

}  // namespace litestream
