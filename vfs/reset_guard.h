// ResetGuard: keeps other programs from resetting the WAL while capture reads what they committed: a shared
// READ lock on the wal-index, as any reader has one. Their writers then append, their checkpoints wait as for
// a reader. Programs with the module need no guard: their gate waits for capture.
//
// The lock is taken through a file of the VFS below, opened when it is first needed and without a lock on the
// database itself, so that it keeps nobody from EXCLUSIVE. It may be open only while the process has another
// mapping of the wal-index, or SQLite would leave the -shm behind.
//
// Thread-safe: capture holds and releases, the threads of the first and the last mapping allow and close.
#pragma once

#include <mutex>
#include <string>

#include "vfs/shim_vfs.h"

namespace litestream {

class ResetGuard {
  public:
    // Nothing where it cannot be had: not allowed, the WAL is being reset, or the file cannot be opened.
    void hold(const std::string& database_path);
    void release();
    void allow();
    void close();  // and no more until allow()

  private:
    void release_locked();

    std::mutex mutex_;
    BelowFile file_;           // guarded by mutex_
    bool is_held_ = false;     // guarded by mutex_
    bool is_allowed_ = false;  // guarded by mutex_
};

}  // namespace litestream
