// How the applier comes to its database, and finds where the replica is.

#include "shared/base/directory.h"
#include "vfs/applier_impl.h"
#include "vfs/clean_close.h"
#include "vfs/shim_file.h"
#include "vfs/shim_vfs.h"

namespace litestream {

namespace {

constexpr const char* kUnknownState =
    "what is in the database is not what was applied last (another program wrote to it, or power was lost); "
    "a "
    "snapshot replaces it";

}  // namespace

Status Applier::Impl::exec(const char* sql) {
    const int rc = sqlite3_exec(connection.get(), sql, nullptr, nullptr, nullptr);
    if (rc == SQLITE_OK) return {};
    const bool is_busy = (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED;
    return Error{is_busy ? ErrorCode::kBusy : ErrorCode::kIo,
                 database.path() + ": " + sqlite3_errmsg(connection.get())};
}

std::int64_t Applier::Impl::ask(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    std::int64_t value = -1;
    if (sqlite3_prepare_v2(connection.get(), sql, -1, &statement, nullptr) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        value = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return value;
}

Status Applier::Impl::open() {
    LITESTREAM_ASSIGN(mode, database.file_mode());
    const std::string& meta = database.store().path();
    LITESTREAM_ASSIGN(const bool taken, lock.try_lock(join_path(meta, "follow-lock"), mode));
    if (!taken) {
        return Error{ErrorCode::kBusy, database.path() + ": another process (pid " +
                                           std::to_string(lock.holder()) + ") keeps this replica up to date"};
    }
    LITESTREAM_TRY(log.open(meta, mode));
    sqlite3* raw = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOMUTEX;
    const int rc = sqlite3_open_v2(database.path().c_str(), &raw, flags, below_vfs_name());
    connection.reset(raw);
    if (rc != SQLITE_OK) return Error{ErrorCode::kCantOpen, database.path() + ": " + sqlite3_errmsg(raw)};
    sqlite3_busy_timeout(raw, kBusyTimeoutMs);
    // Where this is the last connection to close, the WAL stays: a record tells what it means.
    sqlite3_db_config(raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    LITESTREAM_TRY(exec("PRAGMA wal_autocheckpoint=0; PRAGMA synchronous=NORMAL"));
    if (ask("PRAGMA page_count") <= 0) {
        if (log.newest()) reset_reason = kUnknownState;
        return {};
    }
    LITESTREAM_TRY(map());
    return find_state();
}

Status Applier::Impl::map() {
    LITESTREAM_TRY(exec("PRAGMA journal_mode=WAL; SELECT count(*) FROM sqlite_master"));
    LITESTREAM_TRY(wal.open(connection.get(), database.wal_path()));
    is_mapped = true;
    return {};
}

// The record that fits what SQLite found in the WAL; or the WAL is gone and the database file is as our own
// close left it.
std::optional<AppliedRecord> Applier::Impl::find_record() const {
    WalIndexHeader header = wal.header();
    if (auto record = log.find(header); record || header.frame_count > 0) return record;
    if (header.salts == Salts{}) {
        const auto in_file = wal.header_in_file();
        if (in_file) header.salts = in_file->salts;
        if (auto record = log.find(header)) return record;
    }
    const BelowFile file = open_below(database.path());
    const auto closed_at = check_rest(database.store().path(), RestKind::kClosed, database.path(),
                                      file ? read_first_bytes(file.get()) : Bytes());
    const auto newest = log.newest();
    return closed_at && newest && newest->state.position == *closed_at ? newest : std::nullopt;
}

Status Applier::Impl::find_state() {
    LITESTREAM_TRY(begin());
    const WalIndexHeader header = wal.header();
    const auto record = find_record();
    abort();
    if (!record) {
        if (log.newest()) reset_reason = kUnknownState;
        return {};
    }
    expected = header;
    state = next_state = record->state;
    publish_state();
    return {};
}

}  // namespace litestream
