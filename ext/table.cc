#include "ext/table.h"

#include <array>
#include <exception>
#include <new>
#include <optional>

#include "ext/interrupt.h"
#include "ext/options.h"

namespace litestream {
namespace {

constexpr Table kTables[] = {
    {"litestream_databases", "path TEXT, role TEXT, generation TEXT, position TEXT, replicas INTEGER", 5,
     database_rows, nullptr},
    {"litestream_replicas",
     "database TEXT, name TEXT, url TEXT, state TEXT, position TEXT, lag_seconds REAL, pending_bytes "
     "INTEGER, "
     "last_error TEXT",
     8, replica_rows, nullptr},
    {"litestream_streams",
     "database TEXT, peer TEXT, position TEXT, lag_seconds REAL, sent_bytes INTEGER, connected_at TEXT", 6,
     stream_rows, nullptr},
    {"litestream_events", "time TEXT, database TEXT, kind TEXT, detail TEXT", 4, event_rows, nullptr},
    {"litestream_generations", "generation TEXT, lag_seconds REAL, started_at TEXT, ended_at TEXT", 4,
     nullptr, generation_rows},
    {"litestream_snapshots",
     "generation TEXT, idx INTEGER, offset INTEGER, size_bytes INTEGER, created_at TEXT", 5,
     nullptr, snapshot_rows},
    {"litestream_wal", "generation TEXT, idx INTEGER, offset INTEGER, size_bytes INTEGER, created_at TEXT", 5,
     nullptr, wal_rows},
};

// The hidden columns of a listing, behind the others, and the bits in idxNum that say that they are given.
enum Argument : std::uint8_t { kUrl, kOptions };
constexpr int kArguments = 2;
constexpr const char* kHiddenColumns = ", url TEXT HIDDEN, options TEXT HIDDEN";

// SQLite's own structures come first in ours, so that a pointer to one is a pointer to the other.
struct Vtab {
    sqlite3_vtab base;
    const Table* table;
    sqlite3* connection;
};
struct Cursor {
    sqlite3_vtab_cursor base;
    std::array<std::string, kArguments> arguments;
    Rows rows;
    std::size_t at = 0;
};

const Table& table_of(sqlite3_vtab* vtab) { return *reinterpret_cast<Vtab*>(vtab)->table; }
Cursor& cursor_of(sqlite3_vtab_cursor* cursor) { return *reinterpret_cast<Cursor*>(cursor); }

int fail(sqlite3_vtab* vtab, const Error& error) {
    sqlite3_free(vtab->zErrMsg);
    vtab->zErrMsg = sqlite3_mprintf("%s", error.message.c_str());
    return sqlite_code(error.code);
}

// SQLITE_OK or the code of sqlite3_declare_vtab().
int x_connect(sqlite3* connection, void* data, int, const char* const*, sqlite3_vtab** out, char**) {
    const auto& table = *static_cast<const Table*>(data);
    const char* hidden = table.listing != nullptr ? kHiddenColumns : "";
    char* declaration = sqlite3_mprintf("CREATE TABLE x(%s%s)", table.columns, hidden);
    if (declaration == nullptr) return SQLITE_NOMEM;
    const int code = sqlite3_declare_vtab(connection, declaration);
    sqlite3_free(declaration);
    if (code != SQLITE_OK) return code;
    sqlite3_vtab_config(connection, SQLITE_VTAB_DIRECTONLY);
    auto* vtab = new (std::nothrow) Vtab{{}, &table, connection};
    if (vtab == nullptr) return SQLITE_NOMEM;
    *out = &vtab->base;
    return SQLITE_OK;
}

int x_disconnect(sqlite3_vtab* vtab) {
    delete reinterpret_cast<Vtab*>(vtab);
    return SQLITE_OK;
}

// What is given for hidden columns is passed on as arguments; where the planner tries an order that has one
// too late, that is no plan.
int x_best_index(sqlite3_vtab* vtab, sqlite3_index_info* info) {
    info->estimatedCost = 1000;
    info->estimatedRows = 100;
    const Table& table = table_of(vtab);
    if (table.listing == nullptr) return SQLITE_OK;
    std::array<int, kArguments> usable = {-1, -1};  // which constraint
    std::array<bool, kArguments> is_given = {};
    for (int i = 0; i < info->nConstraint; ++i) {
        const auto& constraint = info->aConstraint[i];
        const int argument = constraint.iColumn - table.column_count;
        if (argument < 0 || argument >= kArguments || constraint.op != SQLITE_INDEX_CONSTRAINT_EQ) continue;
        const auto at = static_cast<std::size_t>(argument);
        is_given[at] = true;
        if (constraint.usable != 0) usable[at] = i;
    }
    int count = 0;
    for (std::size_t at = 0; at < usable.size(); ++at) {
        if (is_given[at] && usable[at] < 0) return SQLITE_CONSTRAINT;
        if (!is_given[at]) continue;
        auto& usage = info->aConstraintUsage[usable[at]];
        usage.argvIndex = ++count;
        usage.omit = 1;
        info->idxNum |= 1 << at;
    }
    return SQLITE_OK;
}

int x_open(sqlite3_vtab*, sqlite3_vtab_cursor** out) {
    auto* cursor = new (std::nothrow) Cursor{};
    if (cursor == nullptr) return SQLITE_NOMEM;
    *out = &cursor->base;
    return SQLITE_OK;
}

int x_close(sqlite3_vtab_cursor* cursor) {
    delete reinterpret_cast<Cursor*>(cursor);
    return SQLITE_OK;
}

Result<Rows> list(const Vtab& vtab, const Cursor& cursor, const std::optional<std::string>& options) {
    LITESTREAM_ASSIGN(const Url url, parse_listing_options(cursor.arguments[kUrl], options));
    LITESTREAM_ASSIGN(const auto client, open_replica_client(url));
    Rows rows;
    const auto work = [&](const Stop&) -> Status {
        LITESTREAM_ASSIGN(rows, vtab.table->listing(*client));
        return {};
    };
    LITESTREAM_TRY(run_interruptibly(vtab.connection, [&client] { client->cancel(); }, work));
    return rows;
}

// `given`: bits of arguments.
Result<Rows> read_listing(const Vtab& vtab, Cursor& cursor, int given, sqlite3_value** values) {
    const bool has_url = (given & 1 << kUrl) != 0;
    const bool has_options = (given & 1 << kOptions) != 0;
    const Call call(vtab.table->name, nullptr, int{has_url} + int{has_options}, values);
    if (!has_url || !call.has(0)) {
        return call.bad(std::string("needs the URL of a replica: ") + vtab.table->name + "('file:///PATH')");
    }
    LITESTREAM_ASSIGN(cursor.arguments[kUrl], call.text(0, "url"));
    LITESTREAM_ASSIGN(const auto options, call.optional_text(1, "options"));
    cursor.arguments[kOptions] = options.value_or("");
    auto rows = list(vtab, cursor, options);
    if (!rows) return call.in_call(std::move(rows).error());
    return rows;
}

Status read_rows(const Vtab& vtab, Cursor& cursor, int given, sqlite3_value** values) {
    cursor.rows.clear();
    cursor.at = 0;
    if (vtab.table->listing != nullptr) {
        LITESTREAM_ASSIGN(cursor.rows, read_listing(vtab, cursor, given, values));
        return {};
    }
    auto rows = vtab.table->rows();
    if (!rows) return std::move(rows).error().context(vtab.table->name);
    cursor.rows = *std::move(rows);
    return {};
}

// SQLITE_OK, the code of the error, or SQLITE_NOMEM.
int x_filter(sqlite3_vtab_cursor* base, int given, const char*, int, sqlite3_value** values) {
    try {
        const auto& vtab = *reinterpret_cast<Vtab*>(base->pVtab);
        const Status status = read_rows(vtab, cursor_of(base), given, values);
        return status ? SQLITE_OK : fail(base->pVtab, status.error());
    } catch (const std::bad_alloc&) {
        return SQLITE_NOMEM;
    } catch (...) {
        return SQLITE_ERROR;
    }
}

int x_next(sqlite3_vtab_cursor* cursor) {
    ++cursor_of(cursor).at;
    return SQLITE_OK;
}

int x_eof(sqlite3_vtab_cursor* cursor) {
    return cursor_of(cursor).at >= cursor_of(cursor).rows.size() ? 1 : 0;
}

int x_column(sqlite3_vtab_cursor* base, sqlite3_context* context, int column) {
    const Cursor& cursor = cursor_of(base);
    const Row& row = cursor.rows[cursor.at];
    const auto i = static_cast<std::size_t>(column);
    if (i < row.size()) {
        set_result(context, row[i]);
    } else {
        const std::string& argument = cursor.arguments[i - row.size()];
        sqlite3_result_text(context, argument.c_str(), -1, SQLITE_TRANSIENT);
    }
    return SQLITE_OK;
}

int x_rowid(sqlite3_vtab_cursor* cursor, sqlite3_int64* out) {
    *out = static_cast<sqlite3_int64>(cursor_of(cursor).at) + 1;
    return SQLITE_OK;
}

constexpr sqlite3_module make_module() {
    sqlite3_module module = {};
    module.xConnect = x_connect;  // without xCreate: eponymous only
    module.xBestIndex = x_best_index;
    module.xDisconnect = x_disconnect;
    module.xOpen = x_open;
    module.xClose = x_close;
    module.xFilter = x_filter;
    module.xNext = x_next;
    module.xEof = x_eof;
    module.xColumn = x_column;
    module.xRowid = x_rowid;
    return module;
}

constexpr sqlite3_module kModule = make_module();

}  // namespace

int register_tables(sqlite3* connection) {
    for (const Table& table : kTables) {
        void* data = const_cast<Table*>(&table);
        const int code = sqlite3_create_module_v2(connection, table.name, &kModule, data, nullptr);
        if (code != SQLITE_OK) return code;
    }
    return SQLITE_OK;
}

}  // namespace litestream
