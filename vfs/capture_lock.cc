#include "vfs/capture_lock.h"

#include "shared/base/directory.h"

namespace litestream {

namespace {

constexpr const char* kLockName = "capture-lock";

}  // namespace

std::string CaptureLock::path_in(const std::string& meta_path) { return join_path(meta_path, kLockName); }

Result<bool> CaptureLock::try_take(const std::string& meta_path, unsigned database_mode) {
    LITESTREAM_TRY(make_real_directory(meta_path, database_mode | (database_mode & 0444) >> 2));
    return lock_.try_lock(path_in(meta_path), database_mode);
}

std::string CaptureLock::holder_text() const {
    const pid_t holder = lock_.holder();
    const std::string who = holder > 0 ? "pid " + std::to_string(holder) : "its pid cannot be told";
    return "another process captures this database (" + who + ")";
}

}  // namespace litestream
