// The SQL functions. A body takes its checked arguments and gives a value or an error; functions.cc makes
// SQLite functions of them, each SQLITE_DIRECTONLY, each with its numbers of arguments, and lets no C++
// exception through. Thread-bound: the connection's thread.
#pragma once

#include "ext/sql_value.h"

namespace litestream {

int register_functions(sqlite3* connection);

// functions_status.cc
Result<SqlValue> litestream_version(const Call& call);          // ()
Result<SqlValue> litestream_status(const Call& call);           // ([schema])
Result<SqlValue> litestream_position(const Call& call);         // ([schema])
Result<SqlValue> litestream_set_default_vfs(const Call& call);  // (on)

// functions_replicate.cc
Result<SqlValue> litestream_replicate(const Call& call);    // (url [,options [,schema]])
Result<SqlValue> litestream_unreplicate(const Call& call);  // (name_or_url [,schema])

// functions_validate.cc
Result<SqlValue> litestream_validate(const Call& call);  // (url [,options [,schema]])

// functions_wait.cc
Result<SqlValue> litestream_sync(const Call& call);      // ([timeout [,schema]])
Result<SqlValue> litestream_wait(const Call& call);      // (position [,timeout [,schema]])
Result<SqlValue> litestream_snapshot(const Call& call);  // ([name_or_url [,schema]])
Result<SqlValue> litestream_run(const Call& call);       // ([seconds])

// functions_stream.cc
Result<SqlValue> litestream_stream(const Call& call);       // (url [,options [,schema]])
Result<SqlValue> litestream_stream_stop(const Call& call);  // ([options [,schema]])
Result<SqlValue> litestream_lag(const Call& call);          // ([schema])

// functions_serve.cc
Result<SqlValue> litestream_serve(const Call& call);       // (address [,options])
Result<SqlValue> litestream_serve_stop(const Call& call);  // ()

// functions_restore.cc
Result<SqlValue> litestream_restore(const Call& call);  // (url, path [,options])

}  // namespace litestream
