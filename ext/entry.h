// The way into the module. The exported sqlite3_litestream_init() is what `.load` calls; tests inside one
// process hand litestream_init() to sqlite3_auto_extension() instead. Thread-safe.
#pragma once

struct sqlite3;
struct sqlite3_api_routines;

namespace litestream {

// The first call registers the VFS and sees to it that every later connection gets the functions; each call
// gives them to `connection`. SQLITE_OK, or SQLITE_ERROR with a message in `*error` (sqlite3_free()).
extern "C" int litestream_init(sqlite3* connection, char** error, const sqlite3_api_routines* api);

}  // namespace litestream
