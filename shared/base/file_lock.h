// FileLock: a POSIX record lock on a whole file, by which processes agree who does something. The kernel
// drops it when the process ends, however it ends, and a forked child does not have it.
//
// The trap: closing any descriptor of the file drops the lock of the whole process. One FileLock is the only
// thing in a process that may open its file.
//
// Thread-bound.
#pragma once

#include <sys/types.h>

#include <string>

#include "shared/base/file.h"

namespace litestream {

class FileLock {
  public:
    FileLock() = default;
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;

    // Never waits. False: another process has it. The file is created if need be; a symbolic link is refused.
    Result<bool> try_lock(const std::string& path, mode_t mode);
    // It was taken, has been ours since, and the path still names the locked file. Three system calls.
    bool is_held() const;
    // Who has it, as of now; 0: nobody, or it cannot be told (another pid namespace).
    pid_t holder() const;
    void release();

  private:
    bool names_our_file(const std::string& path) const;

    File file_;  // open: locked, or asked for
    bool is_taken_ = false;
};

}  // namespace litestream
