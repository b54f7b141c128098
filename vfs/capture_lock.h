// CaptureLock: which of the processes that loaded the module captures a database. One of them holds a record
// lock on the file `capture-lock` in the meta directory and captures the commits of all; the others stay idle
// and try again. When the holder ends, the next one that asks goes on behind the holder's last segment.
//
// Nothing else may open that file (shared/base/file_lock.h). Thread-bound: the capture thread; release() once
// it has let go of the database.
#pragma once

#include <string>

#include "shared/base/file_lock.h"
#include "vfs/wal_index.h"

namespace litestream {

class CaptureLock {
  public:
    // Ours since it was taken, and the meta directory is still the one that it was taken in.
    bool is_held() const { return lock_.is_held(); }
    // Creates the meta directory if need be. False: another process has it.
    Result<bool> try_take(const std::string& meta_path, unsigned database_mode);
    std::string holder_text() const;  // "another process captures this database (pid N)"
    void release() { lock_.release(); }

  private:
    FileLock lock_;
};

// Whether the holder has captured everything that `header` calls committed, as far as its files tell.
bool is_captured_by_holder(const std::string& meta_path, const WalIndexHeader& header);

}  // namespace litestream
