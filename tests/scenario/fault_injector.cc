// Preloaded into a stock program: calls of libc that change files fail on demand, or end the process as kill
// -9 would. The file named by LITESTREAM_FAULTS says which, in one line, read at every call; empty or
// missing: none.
//
//   ERRNO OPERATIONS PREFIX            28 write,rename /path/app.db-litestream/
//   MOMENT OPERATIONS COUNT PATTERN    after rename 1 /path/*.wal.lz4
//
// Operations: create, write, sync, rename, truncate, remove, mkdir. Only paths that begin with the prefix
// fail. MOMENT is before, within (half of what is to be written is, for a write) or after the COUNTth call
// from then on whose path fits the pattern (fnmatch, where '*' fits '/' too). A file without a name has its
// directory's when it is created, and one in it that ends in " (deleted)" later. Reentrant.
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include "tests/scenario/open_mode.h"

using litestream::test::creates;
using litestream::test::mode_of;

namespace {

enum class Fate { kPass, kFail, kDieBefore, kDieWithin, kDieAfter };

struct Control {
    char text[8192] = {};
    const char* words[4] = {};  // the last one to the end of the line
};

void read_control(Control& control) {
    const char* path = getenv("LITESTREAM_FAULTS");
    if (path == nullptr) return;
    const long descriptor = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (descriptor < 0) return;
    const long size = syscall(SYS_read, descriptor, control.text, sizeof control.text - 1);
    syscall(SYS_close, descriptor);
    if (size <= 0) return;
    char* rest = nullptr;
    control.words[0] = strtok_r(control.text, " \n", &rest);
    control.words[1] = strtok_r(nullptr, " \n", &rest);
    const bool is_error = control.words[0] != nullptr && atoi(control.words[0]) != 0;
    if (!is_error) control.words[2] = strtok_r(nullptr, " \n", &rest);
    control.words[3] = strtok_r(nullptr, "\n", &rest);
}

Fate moment_of(const char* word) {
    if (strcmp(word, "before") == 0) return Fate::kDieBefore;
    return strcmp(word, "within") == 0 ? Fate::kDieWithin : Fate::kDieAfter;
}

Fate fate_of(const Control& control, const char* operation, const char* path) {
    static std::atomic<int> calls_seen = 0;
    const auto& [first, operations, count, pattern] = control.words;
    if (pattern == nullptr || strstr(operations, operation) == nullptr) return Fate::kPass;
    if (count == nullptr) {
        if (strncmp(path, pattern, strlen(pattern)) != 0) return Fate::kPass;
        errno = atoi(first);
        return Fate::kFail;
    }
    if (fnmatch(pattern, path, 0) != 0) return Fate::kPass;
    return ++calls_seen == atoi(count) ? moment_of(first) : Fate::kPass;
}

Fate fate_of(const char* operation, const char* path) {
    const int before = errno;
    Control control;
    read_control(control);
    errno = before;
    return fate_of(control, operation, path);
}

// "" for what has no path.
class PathOf {
  public:
    explicit PathOf(int descriptor) {
        const int before = errno;
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
        const ssize_t size = readlink(link, text_, sizeof text_ - 1);
        text_[size > 0 ? size : 0] = '\0';
        errno = before;
    }
    PathOf(int directory, const char* name) : PathOf(directory) {
        if (directory == AT_FDCWD || name[0] == '/') text_[0] = '\0';
        const size_t size = strlen(text_);
        snprintf(text_ + size, sizeof text_ - size, "%s%s", size > 0 ? "/" : "", name);
    }
    const char* text() const { return text_; }

  private:
    char text_[4096];
};

// Nothing of the process runs any more behind it.
void die() { kill(getpid(), SIGKILL); }

template <typename Call, typename Half>
auto run(const char* operation, const char* path, Call call, Half half) -> decltype(call()) {
    const Fate fate = fate_of(operation, path);
    if (fate == Fate::kFail) return -1;
    if (fate == Fate::kDieWithin) half();
    if (fate == Fate::kDieBefore || fate == Fate::kDieWithin) die();
    const auto result = call();
    if (fate == Fate::kDieAfter) die();
    return result;
}

template <typename Call>
auto run(const char* operation, const char* path, Call call) -> decltype(call()) {
    return run(operation, path, call, [] {});
}

int open_file(const char* path, int flags, mode_t mode) {
    const auto call = [&] { return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode)); };
    return creates(flags) ? run("create", path, call) : call();
}

int sync_file(int descriptor, long number) {
    return run("sync", PathOf(descriptor).text(),
               [&] { return static_cast<int>(syscall(number, descriptor)); });
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

FAULTY int open64(const char* path, int flags, ...) __attribute__((alias("open")));

FAULTY ssize_t write(int descriptor, const void* data, size_t size) {
    const auto put = [&](size_t part) { return syscall(SYS_write, descriptor, data, part); };
    return run(
        "write", PathOf(descriptor).text(), [&] { return put(size); }, [&] { put(size / 2); });
}

FAULTY ssize_t pwrite64(int descriptor, const void* data, size_t size, off64_t offset) {
    const auto put = [&](size_t part) { return syscall(SYS_pwrite64, descriptor, data, part, offset); };
    return run(
        "write", PathOf(descriptor).text(), [&] { return put(size); }, [&] { put(size / 2); });
}

FAULTY int fsync(int descriptor) { return sync_file(descriptor, SYS_fsync); }

FAULTY int fdatasync(int descriptor) { return sync_file(descriptor, SYS_fdatasync); }

FAULTY int ftruncate64(int descriptor, off64_t size) noexcept {
    return run("truncate", PathOf(descriptor).text(),
               [&] { return static_cast<int>(syscall(SYS_ftruncate, descriptor, size)); });
}

FAULTY int renameat2(int from_directory, const char* from, int to_directory, const char* to,
                     unsigned flags) noexcept {
    return run("rename", to, [&] {
        return static_cast<int>(syscall(SYS_renameat2, from_directory, from, to_directory, to, flags));
    });
}

FAULTY int unlinkat(int directory, const char* name, int flags) noexcept {
    return run("remove", PathOf(directory, name).text(),
               [&] { return static_cast<int>(syscall(SYS_unlinkat, directory, name, flags)); });
}

FAULTY int unlink(const char* path) noexcept { return unlinkat(AT_FDCWD, path, 0); }

FAULTY int rmdir(const char* path) noexcept { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

FAULTY int mkdir(const char* path, mode_t mode) noexcept {
    return run("mkdir", path, [&] { return static_cast<int>(syscall(SYS_mkdirat, AT_FDCWD, path, mode)); });
}
