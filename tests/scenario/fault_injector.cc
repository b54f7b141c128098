// Preloaded into a stock program: calls of libc that change files fail on demand. The file named by
// LITESTREAM_FAULTS says which, in one line, read at every call; empty or missing: none.
//
//   ERRNO OPERATIONS PREFIX          28 write,rename /path/app.db-litestream/
//
// Operations: create, write, sync, rename, mkdir. Only paths that begin with the prefix are touched.
// Reentrant.
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

struct Faults {
    char text[8192] = {};
    int error_number = 0;
    const char* operations = "";
    const char* prefix = "";
};

void read_faults(Faults& faults) {
    const char* control = getenv("LITESTREAM_FAULTS");
    if (control == nullptr) return;
    const long descriptor = syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC, 0);
    if (descriptor < 0) return;
    const long size = syscall(SYS_read, descriptor, faults.text, sizeof faults.text - 1);
    syscall(SYS_close, descriptor);
    if (size <= 0) return;
    char* rest = nullptr;
    faults.error_number = static_cast<int>(strtol(strtok_r(faults.text, " \n", &rest), nullptr, 10));
    faults.operations = strtok_r(nullptr, " \n", &rest);
    faults.prefix = strtok_r(nullptr, "\n", &rest);
}

bool fails(const char* operation, const char* path) {
    const int before = errno;
    Faults faults;
    read_faults(faults);
    errno = before;
    if (faults.error_number == 0 || faults.prefix == nullptr) return false;
    if (strstr(faults.operations, operation) == nullptr) return false;
    if (strncmp(path, faults.prefix, strlen(faults.prefix)) != 0) return false;
    errno = faults.error_number;
    return true;
}

bool fails(const char* operation, int descriptor) {
    char link[64];
    char path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return false;
    path[size] = '\0';
    return fails(operation, path);
}

int open_file(const char* path, int flags, mode_t mode) {
    if ((flags & O_CREAT) != 0 && fails("create", path)) return -1;
    return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

mode_t mode_of(int flags, va_list arguments) {
    return (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

#define FAULTY extern "C" __attribute__((visibility("default")))

FAULTY int open(const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_file(path, flags, mode);
}

FAULTY int open64(const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_file(path, flags, mode);
}

FAULTY ssize_t write(int descriptor, const void* data, size_t size) {
    if (fails("write", descriptor)) return -1;
    return syscall(SYS_write, descriptor, data, size);
}

FAULTY ssize_t pwrite64(int descriptor, const void* data, size_t size, off64_t offset) {
    if (fails("write", descriptor)) return -1;
    return syscall(SYS_pwrite64, descriptor, data, size, offset);
}

FAULTY int fsync(int descriptor) {
    if (fails("sync", descriptor)) return -1;
    return static_cast<int>(syscall(SYS_fsync, descriptor));
}

FAULTY int fdatasync(int descriptor) {
    if (fails("sync", descriptor)) return -1;
    return static_cast<int>(syscall(SYS_fdatasync, descriptor));
}

FAULTY int renameat2(int from_directory, const char* from, int to_directory, const char* to,
                     unsigned flags) noexcept {
    if (fails("rename", to)) return -1;
    return static_cast<int>(syscall(SYS_renameat2, from_directory, from, to_directory, to, flags));
}

FAULTY int mkdir(const char* path, mode_t mode) noexcept {
    if (fails("mkdir", path)) return -1;
    return static_cast<int>(syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}
