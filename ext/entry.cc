// What is hard here is being loaded more than once: twice by the same program (harmless), from two copies of
// the file (the first serves, the second keeps quiet), and by two SQLites in one process (refused: there is
// one table of SQLite's functions, and handles of one SQLite mean nothing to the other).
#include "ext/entry.h"

#include <mutex>

#include "ext/functions.h"
#include "ext/runtime.h"
#include "ext/table.h"
#include "shared/base/log.h"
#include "vfs/shim_vfs.h"

namespace litestream {
namespace {

constexpr int kOldestSqlite = 3032000;
constexpr const char* kVfsName = "litestream";

// Taken below the connection's mutex, which whoever loads us holds: no SQL runs while it is held.
std::mutex setup_mutex;
bool is_set_up = false;  // guarded by setup_mutex

void log_to_host(const char* line) { sqlite3_log(SQLITE_NOTICE, "%s", line); }

bool compiles(sqlite3* connection, const char* sql) {
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v2(connection, sql, -1, &statement, nullptr);
    sqlite3_finalize(statement);
    return code == SQLITE_OK;
}

bool has_functions(sqlite3* connection) {
    if (compiles(connection, "SELECT litestream_version()")) return true;
    // An open that runs automatic extensions takes an error left on the connection for its own.
    compiles(connection, "SELECT 1");
    return false;
}

const char* why_unusable() {
    if (sqlite3_libversion_number() < kOldestSqlite) return "litestream needs SQLite 3.32.0 or later";
    if (sqlite3_threadsafe() == 0) {
        return "litestream works with threads, and this SQLite was built with SQLITE_THREADSAFE=0";
    }
    return nullptr;
}

int refuse(char** error, const char* message) {
    if (error != nullptr) *error = sqlite3_mprintf("%s", message);
    return SQLITE_ERROR;
}

int register_all(sqlite3* connection) {
    const int code = register_functions(connection);
    return code != SQLITE_OK ? code : register_tables(connection);
}

// Given to sqlite3_auto_extension(): another result than SQLITE_OK would make every open fail.
int on_new_connection(sqlite3* connection, char**, const sqlite3_api_routines*) {
    if (register_all(connection) != SQLITE_OK) log_line("litestream: cannot register the functions");
    return SQLITE_OK;
}

// Called with setup_mutex held.
int set_up(char** error) {
    set_log_sink(log_to_host);
    if (register_shim_vfs(runtime().registry()) != SQLITE_OK) {
        return refuse(error, "litestream cannot register its VFS");
    }
    if (sqlite3_auto_extension(reinterpret_cast<void (*)()>(on_new_connection)) != SQLITE_OK) {
        return refuse(error, "litestream cannot register itself for later connections");
    }
    is_set_up = true;
    return SQLITE_OK;
}

int set_up_once(bool has_functions, char** error) {
    const std::lock_guard lock(setup_mutex);
    if (is_set_up) return SQLITE_OK;
    if (sqlite3_vfs_find(kVfsName) == nullptr) return set_up(error);
    if (has_functions) return SQLITE_OK;
    return refuse(
        error,
        "a VFS named 'litestream' is there already: another copy of liblitestream was loaded after this "
        "connection was opened; load it from there, or open a new connection");
}

int serve(sqlite3* connection, char** error) {
    if (const char* why = why_unusable()) return refuse(error, why);
    const bool is_served = has_functions(connection);
    if (const int code = set_up_once(is_served, error); code != SQLITE_OK) return code;
    // What is there, of ours or of another copy, stays: while a statement runs, as in SELECT
    // load_extension(), SQLite does not let a function be replaced.
    if (is_served || register_all(connection) == SQLITE_OK) return SQLITE_OK;
    return refuse(error, "litestream cannot register its functions");
}

// False: another SQLite's. Written once: later calls come while other threads read it.
bool take_api(const sqlite3_api_routines* api) {
    const std::lock_guard lock(setup_mutex);
    if (sqlite3_api == nullptr) SQLITE_EXTENSION_INIT2(api);
    return sqlite3_api == api;
}

// SQLITE_OK or SQLITE_ERROR; no exception leaves.
int init(sqlite3* connection, char** error, const sqlite3_api_routines* api) {
    if (!take_api(api)) {
        if (error != nullptr) {
            *error = api->mprintf("litestream is loaded already, by another copy of SQLite in this process");
        }
        return SQLITE_ERROR;
    }
    try {
        return serve(connection, error);
    } catch (...) {
        return refuse(error, "litestream cannot start: out of memory or threads");
    }
}

}  // namespace

extern "C" int litestream_init(sqlite3* connection, char** error, const sqlite3_api_routines* api) {
    return init(connection, error, api);
}

}  // namespace litestream

extern "C" __attribute__((visibility("default"))) int sqlite3_litestream_init(
    sqlite3* connection, char** error, const sqlite3_api_routines* api) {
    const int code = litestream::litestream_init(connection, error, api);
    return code == SQLITE_OK ? SQLITE_OK_LOAD_PERMANENTLY : code;
}
