// SQLite, through the table of functions that the loading host hands over (https://sqlite.org/loadext.html).
// The only file that includes sqlite3ext.h: the module never links libsqlite3, since the host may carry its
// own.
#pragma once

#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT3
