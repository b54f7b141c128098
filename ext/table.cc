#include "ext/table.h"

#include <exception>
#include <new>

namespace litestream {
namespace {

constexpr Table kTables[] = {
    {"litestream_databases", "path TEXT, role TEXT, generation TEXT, position TEXT, replicas INTEGER", 5,
     false, database_rows},
    {"litestream_replicas",
     "database TEXT, name TEXT, url TEXT, state TEXT, position TEXT, lag_seconds REAL, pending_bytes "
     "INTEGER, "
     "last_error TEXT",
     8, false, replica_rows},
    {"litestream_streams",
     "database TEXT, peer TEXT, position TEXT, lag_seconds REAL, sent_bytes INTEGER, connected_at TEXT", 6,
     false, stream_rows},
    {"litestream_events", "time TEXT, database TEXT, kind TEXT, detail TEXT", 4, false, event_rows},
    {"litestream_generations", "generation TEXT, lag_seconds REAL, started_at TEXT, ended_at TEXT", 4, true,
     generation_rows},
    {"litestream_snapshots",
     "generation TEXT, idx INTEGER, offset INTEGER, size_bytes INTEGER, created_at TEXT", 5, true,
     snapshot_rows},
    {"litestream_wal", "generation TEXT, idx INTEGER, offset INTEGER, size_bytes INTEGER, created_at TEXT", 5,
     true, wal_rows},
};

// SQLite's own structures come first in ours, so that a pointer to one is a pointer to the other.
struct Vtab {
    sqlite3_vtab base;
    const Table* table;
};
struct Cursor {
    sqlite3_vtab_cursor base;
    std::string url;
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
    const char* url = table.takes_url ? ", url TEXT HIDDEN" : "";
    char* declaration = sqlite3_mprintf("CREATE TABLE x(%s%s)", table.columns, url);
    if (declaration == nullptr) return SQLITE_NOMEM;
    const int code = sqlite3_declare_vtab(connection, declaration);
    sqlite3_free(declaration);
    if (code != SQLITE_OK) return code;
    sqlite3_vtab_config(connection, SQLITE_VTAB_DIRECTONLY);
    auto* vtab = new (std::nothrow) Vtab{{}, &table};
    if (vtab == nullptr) return SQLITE_NOMEM;
    *out = &vtab->base;
    return SQLITE_OK;
}

int x_disconnect(sqlite3_vtab* vtab) {
    delete reinterpret_cast<Vtab*>(vtab);
    return SQLITE_OK;
}

// The URL is passed on as argument; where the planner tries an order that has it too late, that is no plan.
int x_best_index(sqlite3_vtab* vtab, sqlite3_index_info* info) {
    info->estimatedCost = 1000;
    info->estimatedRows = 100;
    if (!table_of(vtab).takes_url) return SQLITE_OK;
    bool is_unusable = false;
    for (int i = 0; i < info->nConstraint; ++i) {
        const auto& constraint = info->aConstraint[i];
        if (constraint.iColumn != table_of(vtab).column_count || constraint.op != SQLITE_INDEX_CONSTRAINT_EQ)
            continue;
        if (constraint.usable == 0) {
            is_unusable = true;
            continue;
        }
        info->aConstraintUsage[i].argvIndex = 1;
        info->aConstraintUsage[i].omit = 1;
        info->idxNum = 1;
        return SQLITE_OK;
    }
    return is_unusable ? SQLITE_CONSTRAINT : SQLITE_OK;
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

Status read_rows(const Table& table, Cursor& cursor, bool has_url, sqlite3_value** values) {
    cursor.rows.clear();
    cursor.at = 0;
    if (table.takes_url) {
        const Call call(table.name, nullptr, has_url ? 1 : 0, values);
        if (!call.has(0))
            return call.bad(std::string("needs the URL of a replica: ") + table.name + "('file:///PATH')");
        LITESTREAM_ASSIGN(cursor.url, call.text(0, "url"));
    }
    auto rows = table.rows(cursor.url);
    if (!rows) return std::move(rows).error().context(table.name);
    cursor.rows = *std::move(rows);
    return {};
}

// SQLITE_OK, the code of the error, or SQLITE_NOMEM.
int x_filter(sqlite3_vtab_cursor* base, int has_url, const char*, int, sqlite3_value** values) {
    try {
        const Status status = read_rows(table_of(base->pVtab), cursor_of(base), has_url == 1, values);
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
        sqlite3_result_text(context, cursor.url.c_str(), -1, SQLITE_TRANSIENT);
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
