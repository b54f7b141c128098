// ShimFile: a main database file opened through our VFS. Its methods pass everything to the file of the VFS
// below and watch five things: the first mapping of the wal-index, the WRITE unlock (the bell), the request
// for READ1..4 (the gate), EXCLUSIVE, and who we are when asked. All other kinds of files are the VFS below's
// own.
//
// Thread: whichever SQLite uses the connection on; SQLite serialises the calls on one file. Nothing here
// allocates on the way of a commit.
#pragma once

#include <memory>

#include "vfs/database.h"
#include "vfs/sqlite.h"

namespace litestream {

class Registry;

// Indexes of xShmLock (wal.c; https://sqlite.org/walformat.html, section 2.3).
constexpr int kWriteLock = 0;
constexpr int kCheckpointLock = 1;
constexpr int kRecoverLock = 2;
constexpr int kReadLock0 = 3;
constexpr int kReadLock1 = 4;
constexpr int kReadMarks = 5;

// Our own file control: `void*` is a ShimFile** that we fill in. Unknown to SQLite and to other shims, which
// pass it on.
constexpr int kFcntlShimFile = 0x4c495453;

// Laid out in the memory that SQLite gives to xOpen: this, then the file of the VFS below.
struct ShimFile {
    sqlite3_file base;  // first: SQLite's view of us
    Registry* registry;
    std::shared_ptr<Database>* database;  // owned; a pointer, since SQLite's memory knows no destructors
    const volatile void* region0;         // this handle's mapping of the wal-index, null: none
    int read_lock;                        // READ(k) held shared by this handle's transaction, -1: none
    bool is_internal;                     // a snapshot's
    bool holds_exclusive;                 // EXCLUSIVE on the database file
    bool wants_exclusive;                 // a pragma asked for the locking mode, and it is not there yet
    bool leaves_wal;                      // a pragma asked for another journal mode
    bool holds_checkpoint;                // CKPT, asked for by SQLite
    bool shields_reset;                   // CKPT, taken by us for the time of a WAL restart

    sqlite3_file* below() { return reinterpret_cast<sqlite3_file*>(this + 1); }
    Database& db() { return **database; }
    static ShimFile* from(sqlite3_file* file) { return reinterpret_cast<ShimFile*>(file); }
};
static_assert(std::is_standard_layout_v<ShimFile>);

// The method table for a file below of that iVersion (1, 2 or 3): no more than it can do.
const sqlite3_io_methods* shim_file_methods(int below_version);

// Up to kCleanCloseHeaderBytes from the start of the database file, through the file below.
Bytes read_first_bytes(sqlite3_file* below);

}  // namespace litestream
