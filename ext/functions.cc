#include "ext/functions.h"

#include <exception>
#include <new>

namespace litestream {
namespace {

struct Function {
    const char* name;
    int least;  // arguments
    int most;
    Result<SqlValue> (*body)(const Call& call);
};

constexpr Function kFunctions[] = {
    {"litestream_version", 0, 0, litestream_version},
    {"litestream_status", 0, 1, litestream_status},
    {"litestream_position", 0, 1, litestream_position},
    {"litestream_replicate", 1, 3, litestream_replicate},
    {"litestream_unreplicate", 1, 2, litestream_unreplicate},
    {"litestream_sync", 0, 2, litestream_sync},
    {"litestream_wait", 1, 3, litestream_wait},
    {"litestream_snapshot", 0, 2, litestream_snapshot},
    {"litestream_serve", 1, 2, litestream_serve},
    {"litestream_serve_stop", 0, 0, litestream_serve_stop},
    {"litestream_stream", 1, 3, litestream_stream},
    {"litestream_stream_stop", 0, 2, litestream_stream_stop},
    {"litestream_lag", 0, 1, litestream_lag},
    {"litestream_restore", 2, 3, litestream_restore},
    {"litestream_validate", 1, 3, litestream_validate},
    {"litestream_run", 0, 1, litestream_run},
    {"litestream_set_default_vfs", 1, 1, litestream_set_default_vfs},
};

// Sets a result, or an error with the code of ext/sql_value.h; no memory: SQLITE_NOMEM.
void x_function(sqlite3_context* context, int count, sqlite3_value** values) {
    const auto& function = *static_cast<const Function*>(sqlite3_user_data(context));
    try {
        const Result<SqlValue> result = function.body(Call(function.name, context, count, values));
        if (result) return set_result(context, *result);
        set_error(context, result.error());
    } catch (const std::bad_alloc&) {
        sqlite3_result_error_nomem(context);
    } catch (const std::exception& error) {
        sqlite3_result_error(context, error.what(), -1);
    } catch (...) {
        sqlite3_result_error(context, "litestream: unknown failure", -1);
    }
}

int register_function(sqlite3* connection, const Function& function) {
    for (int count = function.least; count <= function.most; ++count) {
        void* data = const_cast<Function*>(&function);
        const int code =
            sqlite3_create_function_v2(connection, function.name, count, SQLITE_UTF8 | SQLITE_DIRECTONLY,
                                       data, x_function, nullptr, nullptr, nullptr);
        if (code != SQLITE_OK) return code;
    }
    return SQLITE_OK;
}

}  // namespace

int register_functions(sqlite3* connection) {
    for (const Function& function : kFunctions) {
        if (const int code = register_function(connection, function); code != SQLITE_OK) return code;
    }
    return SQLITE_OK;
}

}  // namespace litestream
