// The VFS "litestream": a shim over the VFS that was the default when we were loaded. It adds nothing to
// SQLite's file format; it watches locks of main databases and passes everything else through.
#pragma once

#include <memory>
#include <string>

#include "vfs/registry.h"
#include "vfs/sqlite.h"

namespace litestream {

// Registers the VFS, once per process; later calls change nothing. SQLITE_OK or SQLite's code.
int register_shim_vfs(Registry& registry);

// Makes ours the VFS of those who name none, or gives the place back to the one below. The previous state. A
// database that is reached only in this way is captured once somebody wants it.
bool set_default_vfs(bool on);

// The database behind `schema` of a connection, found through other shims too; null: not opened through us
// (in memory, temporary, another VFS). Call it on the connection's thread.
std::shared_ptr<Database> database_of(sqlite3* connection, const char* schema);

// While one lives, main databases that this thread opens are ours (a snapshot's), not the application's.
class InternalOpen {
  public:
    InternalOpen();
    ~InternalOpen();
};

// Of a connection that was opened under InternalOpen: the file of the VFS below, and which of the wal-index's
// READ locks its transaction holds (-1: none).
struct PinnedFile {
    sqlite3_file* below = nullptr;
    int read_lock = -1;
};
PinnedFile pinned_file(sqlite3* connection);

// The database file once more through the VFS below, for reading and never locked: opening it ourselves would
// drop SQLite's locks at the close, which that VFS knows to avoid. Null where it cannot be opened.
struct CloseBelow {
    void operator()(sqlite3_file* file) const;
};
using BelowFile = std::unique_ptr<sqlite3_file, CloseBelow>;
BelowFile open_below(const std::string& path);

// The VFS below ours, as sqlite3_open_v2 wants it: for connections that nothing of ours watches.
const char* below_vfs_name();

// Something begins that a forked child cannot go on with: a database is opened, a thread may start.
void note_use();

// After fork() the child of a process that has used us passes through: no capture, no gate (locks and threads
// stay with the parent). One that had only loaded us leaves its children as free as itself.
bool is_forked_child();

}  // namespace litestream
