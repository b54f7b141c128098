// CaptureLock: which of the processes that loaded the module captures a database. One of them holds a record
// lock on the file `capture-lock` in the meta directory and captures the commits of all; the others stay idle
// and try again. When the holder ends, the next one that asks goes on behind the holder's last segment.
//
// Nothing else may open that file (shared/base/file_lock.h). Thread-bound: the capture thread; release() once
// it has let go of the database.
#pragma once

#include <string>

#include "shared/base/file_lock.h"

namespace litestream {

class CaptureLock {
  public:
    // Ours since it was taken, and the meta directory is still the one that it was taken in.
    bool is_held() const { return lock_.is_held(); }
    // Creates the meta directory if need be. False: another process has it.
    Result<bool> try_take(const std::string& meta_path, unsigned database_mode);
    // The kernel closes this file, and tells who watches it, once the holder has ended.
    static std::string path_in(const std::string& meta_path);
    std::string holder_text() const;  // "another process captures this database (pid N)"
    void release() { lock_.release(); }

  private:
    FileLock lock_;
};

}  // namespace litestream
