// WalFile: the WAL of a database that is opened through our VFS. Passes everything to the file of the VFS
// below, and looks at writes and truncations only while the main file's handle has the database for itself
// (PRAGMA locking_mode=EXCLUSIVE), where no lock tells of commits and restarts (vfs/exclusive_wal.h).
//
// Thread: whichever SQLite uses the connection on.
#pragma once

#include "vfs/shim_file.h"

namespace litestream {

// Laid out in the memory that SQLite gives to xOpen: this, then the file of the VFS below.
struct WalFile {
    sqlite3_file base;  // first: SQLite's view of us
    ShimFile* main;     // of the same connection, which closes it after this one

    sqlite3_file* below() { return reinterpret_cast<sqlite3_file*>(this + 1); }
    static WalFile* from(sqlite3_file* file) { return reinterpret_cast<WalFile*>(file); }
};
static_assert(std::is_standard_layout_v<WalFile>);
static_assert(sizeof(WalFile) <= sizeof(ShimFile), "szOsFile has room for the larger one");

const sqlite3_io_methods* wal_file_methods(int below_version);

}  // namespace litestream
