#include "tests/scenario/power_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstdint>
#include <map>
#include <mutex>
#include <sstream>
#include <string_view>
#include <vector>

#include "tests/scenario/power_disk_calls.h"

namespace litestream::test {
namespace {

constexpr int kDied = 137;
constexpr std::size_t kKernelPage = 4096;  // a kill may cut a write between two of them

struct Fault {
    int error_number;  // 0: the process ends
    std::string kinds;
    std::string part;
    std::int64_t skip;
    std::int64_t times;
};

struct Disk {
    std::string root;  // with a slash at its end
    std::string boot_id;
    dev_t device = 0;
    int journal = -1;
    std::map<ino_t, std::string> paths;  // of what was opened below the root
    std::vector<Fault> faults;
};

// Never destroyed: threads write to the last moment.
std::atomic<Disk*> the_disk = nullptr;
std::atomic<std::int64_t> clock_offset_ms = 0;

std::mutex& disk_mutex() {
    static auto* mutex = new std::mutex;
    return *mutex;
}

[[noreturn]] void end_process() {
    syscall(SYS_exit_group, kDied);
    __builtin_unreachable();
}

// --- The journal: little-endian, read by power_loss.py ---

struct __attribute__((packed)) RecordHeader {
    char operation;
    std::uint64_t inode;
    std::uint64_t offset;
    std::uint32_t path_size;
    std::uint32_t second_size;
    std::uint32_t data_size;
};

struct Record {
    char operation;
    ino_t inode = 0;
    std::uint64_t offset = 0;
    std::string_view path = {};
    std::string_view second = {};
    std::string_view data = {};
};

std::string_view below_root(const std::string& path) {
    return std::string_view(path).substr(the_disk.load()->root.size());
}

void note(const Record& record) {
    const RecordHeader header = {record.operation,
                                 record.inode,
                                 record.offset,
                                 static_cast<std::uint32_t>(record.path.size()),
                                 static_cast<std::uint32_t>(record.second.size()),
                                 static_cast<std::uint32_t>(record.data.size())};
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
    bytes.append(record.path).append(record.second).append(record.data);
    const long written = syscall(SYS_write, the_disk.load()->journal, bytes.data(), bytes.size());
    if (written != static_cast<long>(bytes.size())) end_process();
}

// --- Faults ---

bool is_among(std::string_view kind, std::string_view kinds) {
    return (',' + std::string(kinds) + ',').find(',' + std::string(kind) + ',') != std::string::npos;
}

Fault* due_fault(std::string_view kind, const std::string& path) {
    for (Fault& fault : the_disk.load()->faults) {
        if (fault.times == 0 || !is_among(kind, fault.kinds) || path.find(fault.part) == std::string::npos) {
            continue;
        }
        if (fault.skip-- > 0) continue;
        fault.skip = 0;
        --fault.times;
        return &fault;
    }
    return nullptr;
}

void say_fault(int error_number, std::string_view kind, const std::string& path) {
    const std::string line =
        "fault: " + std::to_string(error_number) + ' ' + std::string(kind) + ' ' + path + '\n';
    syscall(SYS_write, STDERR_FILENO, line.data(), line.size());
}

// Does one call that changes something, or fails, or ends the process after what `torn` does of it.
template <class Call, class Note, class Torn>
auto change(std::string_view kind, const std::string& path, Call call, Note on_done, Torn torn)
    -> decltype(call()) {
    const std::lock_guard lock(disk_mutex());
    if (const Fault* fault = due_fault(kind, path)) {
        if (fault->error_number == 0) {
            torn();
            end_process();
        }
        say_fault(fault->error_number, kind, path);
        errno = fault->error_number;
        return -1;
    }
    const auto result = call();
    const int before = errno;
    if (result >= 0) on_done(result);
    errno = before;
    return result;
}

template <class Call, class Note>
auto change(std::string_view kind, const std::string& path, Call call, Note on_done) -> decltype(call()) {
    return change(kind, path, call, on_done, [] {});
}

// --- What a path or a descriptor is ---

// Absolute, if it is below the root; else empty.
std::string path_below(int directory, const char* name) {
    const Disk* disk = the_disk.load();
    if (disk == nullptr || name == nullptr) return {};
    std::string path = name;
    if (path.empty() || path[0] != '/') {
        if (directory == AT_FDCWD) return {};
        char folder[PATH_MAX];
        const std::string link = "/proc/self/fd/" + std::to_string(directory);
        const ssize_t size = ::readlink(link.c_str(), folder, sizeof folder);
        if (size <= 0) return {};
        path = std::string(folder, static_cast<std::size_t>(size)) + "/" + path;
    }
    return path.starts_with(disk->root) ? path : std::string();
}

struct OpenFile {
    std::string path;  // empty: not below the root
    ino_t inode = 0;
    bool is_directory = false;
};

OpenFile file_of(int descriptor) {
    const int before = errno;
    OpenFile file;
    struct stat status = {};
    Disk* disk = the_disk.load();
    if (disk != nullptr && ::fstat(descriptor, &status) == 0 && status.st_dev == disk->device &&
        (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))) {
        const std::lock_guard lock(disk_mutex());
        const auto found = disk->paths.find(status.st_ino);
        if (found != disk->paths.end()) file = {found->second, status.st_ino, S_ISDIR(status.st_mode)};
    }
    errno = before;
    return file;
}

// 0: of another file system.
ino_t inode_of(int descriptor) {
    struct stat status = {};
    ::fstat(descriptor, &status);
    return status.st_dev == the_disk.load()->device ? status.st_ino : 0;
}

bool exists(const std::string& path) {
    struct stat status = {};
    return ::lstat(path.c_str(), &status) == 0;
}

}  // namespace

// --- The calls ---

std::int64_t clock_offset_now() { return clock_offset_ms.load(); }

const char* boot_id_file() {
    const Disk* disk = the_disk.load();
    return disk != nullptr ? disk->boot_id.c_str() : nullptr;
}

int open_file(int directory, const char* name, int flags, mode_t mode) {
    const auto call = [&] { return static_cast<int>(syscall(SYS_openat, directory, name, flags, mode)); };
    const std::string path = path_below(directory, name);
    Disk* disk = the_disk.load();
    if (disk == nullptr) return call();
    const bool is_nameless = (flags & O_TMPFILE) == O_TMPFILE;
    if (path.empty() || is_nameless) {
        const int descriptor = call();
        const std::lock_guard lock(disk_mutex());
        // The number of a file that is gone may be another one's now.
        if (descriptor >= 0) disk->paths.erase(inode_of(descriptor));
        return descriptor;
    }
    const bool is_new = (flags & O_CREAT) != 0 && !exists(path);
    return change(is_new ? "create" : "open", path, call, [&](int descriptor) {
        const ino_t inode = inode_of(descriptor);
        disk->paths[inode] = path;
        if (is_new) note({'c', inode, 0, below_root(path)});
        if (!is_new && (flags & O_TRUNC) != 0) note({'t', inode});
    });
}

ssize_t write_file(int descriptor, const void* data, std::size_t size, off64_t offset) {
    const auto call = [&](std::size_t n) {
        return offset < 0 ? syscall(SYS_write, descriptor, data, n)
                          : syscall(SYS_pwrite64, descriptor, data, n, offset);
    };
    const OpenFile file = file_of(descriptor);
    if (file.path.empty() || file.is_directory) return call(size);
    const auto on_done = [&](long done) {
        const off64_t at = offset >= 0 ? offset : ::lseek64(descriptor, 0, SEEK_CUR) - done;
        note({'w',
              file.inode,
              static_cast<std::uint64_t>(at),
              {},
              {},
              {static_cast<const char*>(data), static_cast<std::size_t>(done)}});
    };
    return change(
        "write", file.path, [&] { return call(size); }, on_done,
        [&] {
            const std::size_t part = size / 2 / kKernelPage * kKernelPage;
            if (part > 0) on_done(call(part));
        });
}

ssize_t read_file(int descriptor, void* data, std::size_t size, off64_t offset) {
    const auto call = [&] { return syscall(SYS_pread64, descriptor, data, size, offset); };
    const OpenFile file = file_of(descriptor);
    if (file.path.empty()) return call();
    return change("read", file.path, call, [](long) {});
}

int truncate_file(int descriptor, off64_t size) {
    const auto call = [&] { return static_cast<int>(syscall(SYS_ftruncate, descriptor, size)); };
    const OpenFile file = file_of(descriptor);
    if (file.path.empty()) return call();
    return change("truncate", file.path, call, [&](int) {
        note({'t', file.inode, static_cast<std::uint64_t>(size)});
    });
}

// No machine loses its power: what is outside of the root need not come to the disk either.
int sync_file(int descriptor) {
    const OpenFile file = file_of(descriptor);
    if (file.path.empty()) return 0;
    return change(
        "sync", file.path, [] { return 0; },
        [&](int) {
            note({file.is_directory ? 'd' : 's', file.inode, 0, below_root(file.path)});
        });
}

int rename_file(const char* from, const char* to, unsigned flags) {
    const auto call = [&] {
        return static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags));
    };
    const std::string old_path = path_below(AT_FDCWD, from);
    const std::string new_path = path_below(AT_FDCWD, to);
    if (old_path.empty() || new_path.empty()) return call();
    return change("rename", new_path, call, [&](int) {
        note({'r', 0, 0, below_root(old_path), below_root(new_path)});
    });
}

int remove_name(int directory, const char* name, int flags) {
    const auto call = [&] { return static_cast<int>(syscall(SYS_unlinkat, directory, name, flags)); };
    const std::string path = path_below(directory, name);
    if (path.empty()) return call();
    return change("unlink", path, call, [&](int) { note({'u', 0, 0, below_root(path)}); });
}

int make_directory(const char* name, mode_t mode) {
    const auto call = [&] { return static_cast<int>(syscall(SYS_mkdirat, AT_FDCWD, name, mode)); };
    const std::string path = path_below(AT_FDCWD, name);
    if (path.empty()) return call();
    return change("mkdir", path, call, [&](int) { note({'m', 0, 0, below_root(path)}); });
}

void begin_power_disk(const std::string& root, const std::string& journal, const std::string& boot_id) {
    auto* disk = new Disk;
    disk->root = root + "/";
    disk->boot_id = boot_id;
    constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
    disk->journal = static_cast<int>(syscall(SYS_openat, AT_FDCWD, journal.c_str(), kFlags, 0600));
    struct stat status = {};
    if (disk->journal < 0 || ::stat(root.c_str(), &status) != 0) end_process();
    disk->device = status.st_dev;
    the_disk.store(disk);
}

bool command_power_disk(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    if (verb == "clock") {
        std::int64_t offset = 0;
        words >> offset;
        clock_offset_ms.store(offset);
        return !words.fail();
    }
    const std::lock_guard lock(disk_mutex());
    Disk* disk = the_disk.load();
    if (verb == "calm") return disk->faults.clear(), true;
    Fault fault = {};
    words >> fault.error_number >> fault.kinds >> fault.part >> fault.skip >> fault.times;
    if (verb != "fault" || words.fail()) return false;
    disk->faults.push_back(fault);
    return true;
}

void die_on_power_disk() {
    const std::lock_guard lock(disk_mutex());
    end_process();
}

}  // namespace litestream::test
