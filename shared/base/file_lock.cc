#include "shared/base/file_lock.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace litestream {

namespace {

struct flock whole_file() {
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return lock;
}

}  // namespace

bool FileLock::names_our_file(const std::string& path) const {
    if (!file_.is_open() || file_.path() != path) return false;
    struct stat named = {};
    struct stat ours = {};
    return ::lstat(path.c_str(), &named) == 0 && ::fstat(file_.descriptor(), &ours) == 0 &&
           named.st_dev == ours.st_dev && named.st_ino == ours.st_ino;
}

Result<bool> FileLock::try_lock(const std::string& path, mode_t mode) {
    is_taken_ = false;
    if (!names_our_file(path)) {
        LITESTREAM_ASSIGN(file_, File::open(path, O_RDWR | O_CREAT | O_NONBLOCK, mode));
    }
    struct flock lock = whole_file();
    if (::fcntl(file_.descriptor(), F_SETLK, &lock) != 0) {
        if (errno == EAGAIN || errno == EACCES) return false;
        return system_error(errno, path, "lock");
    }
    // Between open and lock the file may have been removed, and another one locked in its place.
    is_taken_ = names_our_file(path);
    if (!is_taken_) release();
    return is_taken_;
}

void FileLock::release() {
    is_taken_ = false;
    file_.close();
}

// Asking for a lock that is held changes nothing; it finds out if somebody in this process closed a
// descriptor of the file and another process has the lock by now.
bool FileLock::is_held() const {
    if (!is_taken_ || !names_our_file(file_.path())) return false;
    struct flock lock = whole_file();
    return ::fcntl(file_.descriptor(), F_SETLK, &lock) == 0;
}

pid_t FileLock::holder() const {
    struct flock lock = whole_file();
    if (!file_.is_open() || ::fcntl(file_.descriptor(), F_GETLK, &lock) != 0) return 0;
    return lock.l_type == F_UNLCK ? 0 : std::max<pid_t>(lock.l_pid, 0);
}

}  // namespace litestream
