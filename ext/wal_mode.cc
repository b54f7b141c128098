#include "ext/wal_mode.h"

#include <utility>

#include "ext/connection.h"

namespace litestream {

Result<WalMode> WalMode::enter(sqlite3* connection, const std::string& schema) {
    WalMode mode(connection, schema);
    const std::string before = journal_mode(connection, schema);
    if (before == "wal") return mode;
    auto now = mode.change("wal");
    if (!now) return std::move(now).error().context("cannot change journal_mode to wal");
    if (*now != "wal") {
        return bad_input("journal_mode stays " + *now + ": " + schema + " cannot be a WAL database here");
    }
    mode.before_ = before;
    return mode;
}

WalMode::WalMode(WalMode&& other) noexcept
    : connection_(other.connection_), schema_(std::move(other.schema_)), before_(std::move(other.before_)) {
    other.keep();
}

WalMode::~WalMode() {
    if (has_changed()) (void)change(before_);
}

Result<std::string> WalMode::change(const std::string& mode) const {
    LITESTREAM_ASSIGN(auto now,
                      query_text(connection_, "PRAGMA " + quote_name(schema_) + ".journal_mode=" + mode));
    return now.value_or("unknown");
}

}  // namespace litestream
