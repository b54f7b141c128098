// The calls of libc whose place is taken. Compiled without large-file support, which would make both names of
// a call one. Thread-safe.
#include "tests/scenario/power_disk_calls.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstring>

#include "tests/scenario/open_mode.h"

using namespace litestream::test;

#define TAKES_PLACE extern "C" __attribute__((visibility("default")))

TAKES_PLACE int open(const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_file(AT_FDCWD, path, flags, mode);
}

TAKES_PLACE int open64(const char* path, int flags, ...) __attribute__((alias("open")));

// Only for the kernel's boot id, which the standard library reads through this.
TAKES_PLACE FILE* fopen64(const char* path, const char* mode) {
    static const auto next =
        reinterpret_cast<FILE* (*)(const char*, const char*)>(dlsym(RTLD_NEXT, "fopen64"));
    const char* boot_id = boot_id_file();
    const bool is_asked = boot_id != nullptr && std::strcmp(path, "/proc/sys/kernel/random/boot_id") == 0;
    return next(is_asked ? boot_id : path, mode);
}

TAKES_PLACE ssize_t write(int descriptor, const void* data, size_t size) {
    return write_file(descriptor, data, size, -1);
}
TAKES_PLACE ssize_t pwrite(int descriptor, const void* data, size_t size, off_t offset) {
    return write_file(descriptor, data, size, offset);
}
TAKES_PLACE ssize_t pwrite64(int descriptor, const void* data, size_t size, off64_t offset) {
    return write_file(descriptor, data, size, offset);
}
TAKES_PLACE ssize_t pread(int descriptor, void* data, size_t size, off_t offset) {
    return read_file(descriptor, data, size, offset);
}
TAKES_PLACE ssize_t pread64(int descriptor, void* data, size_t size, off64_t offset) {
    return read_file(descriptor, data, size, offset);
}
TAKES_PLACE int ftruncate(int descriptor, off_t size) noexcept { return truncate_file(descriptor, size); }
TAKES_PLACE int ftruncate64(int descriptor, off64_t size) noexcept { return truncate_file(descriptor, size); }
TAKES_PLACE int fsync(int descriptor) { return sync_file(descriptor); }
TAKES_PLACE int fdatasync(int descriptor) { return sync_file(descriptor); }
TAKES_PLACE int rename(const char* from, const char* to) noexcept { return rename_file(from, to, 0); }
TAKES_PLACE int renameat2(int, const char* from, int, const char* to, unsigned flags) noexcept {
    return rename_file(from, to, flags);
}
TAKES_PLACE int unlink(const char* path) noexcept { return remove_name(AT_FDCWD, path, 0); }
TAKES_PLACE int unlinkat(int directory, const char* path, int flags) noexcept {
    return remove_name(directory, path, flags);
}
TAKES_PLACE int rmdir(const char* path) noexcept { return remove_name(AT_FDCWD, path, AT_REMOVEDIR); }
TAKES_PLACE int mkdir(const char* path, mode_t mode) noexcept { return make_directory(path, mode); }

TAKES_PLACE int clock_gettime(clockid_t clock, timespec* time) noexcept {
    const int result = static_cast<int>(syscall(SYS_clock_gettime, clock, time));
    const std::int64_t offset = clock_offset_now();
    if (result == 0 && clock == CLOCK_REALTIME && offset != 0) {
        const std::int64_t nanoseconds = time->tv_nsec + offset % 1000 * 1'000'000;
        time->tv_sec += offset / 1000 + (nanoseconds < 0 ? -1 : nanoseconds / 1'000'000'000);
        time->tv_nsec = (nanoseconds + 1'000'000'000) % 1'000'000'000;
    }
    return result;
}
TAKES_PLACE int gettimeofday(timeval* time, void*) noexcept {
    timespec now = {};
    clock_gettime(CLOCK_REALTIME, &now);
    *time = {now.tv_sec, now.tv_nsec / 1000};
    return 0;
}
