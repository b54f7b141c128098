#include "vfs/reset_guard.h"

#include "vfs/shim_file.h"

namespace litestream {

namespace {

// The one that readers use last: held, it keeps none from another.
constexpr int kGuardLock = kReadLock0 + kReadMarks - 1;
constexpr int kRegionBytes = 32 * 1024;

bool map_wal_index(sqlite3_file* file) {
    void volatile* region0 = nullptr;
    return file->pMethods->iVersion >= 2 &&
           file->pMethods->xShmMap(file, 0, kRegionBytes, 0, &region0) == SQLITE_OK && region0 != nullptr;
}

}  // namespace

void ResetGuard::hold(const std::string& database_path) {
    const std::lock_guard lock(mutex_);
    if (is_held_ || !is_allowed_) return;
    if (!file_) {
        file_ = open_below(database_path);
        if (file_ && !map_wal_index(file_.get())) file_.reset();
    }
    if (!file_) return;
    constexpr int kFlags = SQLITE_SHM_LOCK | SQLITE_SHM_SHARED;
    is_held_ = file_->pMethods->xShmLock(file_.get(), kGuardLock, 1, kFlags) == SQLITE_OK;
}

void ResetGuard::release() {
    const std::lock_guard lock(mutex_);
    release_locked();
}

void ResetGuard::release_locked() {
    if (!std::exchange(is_held_, false)) return;
    file_->pMethods->xShmLock(file_.get(), kGuardLock, 1, SQLITE_SHM_UNLOCK | SQLITE_SHM_SHARED);
}

void ResetGuard::allow() {
    const std::lock_guard lock(mutex_);
    is_allowed_ = true;
}

void ResetGuard::close() {
    const std::lock_guard lock(mutex_);
    is_allowed_ = false;
    release_locked();
    if (file_) file_->pMethods->xShmUnmap(file_.get(), 0);
    file_.reset();
}

}  // namespace litestream
