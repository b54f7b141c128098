#include "vfs/sqlite.h"

// The pointer behind every sqlite3_* call of ours; set once, in the entry point.
SQLITE_EXTENSION_INIT1
