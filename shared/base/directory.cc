#include "shared/base/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "shared/base/random.h"

namespace litestream {

std::string parent_directory(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

std::string join_path(const std::string& directory, std::string_view name) {
    std::string path = directory;
    if (path.empty() || path.back() != '/') path += '/';
    return path.append(name);
}

Status make_directories(const std::string& path, mode_t mode) {
    if (::mkdir(path.c_str(), mode) == 0) return {};
    if (errno == ENOENT) {
        LITESTREAM_TRY(make_directories(parent_directory(path), mode));
        if (::mkdir(path.c_str(), mode) == 0) return {};
    }
    const int error_number = errno;
    struct stat status = {};
    if (error_number == EEXIST && ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return {};
    return system_error(error_number == EEXIST ? ENOTDIR : error_number, path, "create the directory");
}

Status make_real_directory(const std::string& path, mode_t mode) {
    if (::mkdir(path.c_str(), mode) == 0) return {};
    const int error_number = errno;
    struct stat status = {};
    if (error_number != EEXIST || ::lstat(path.c_str(), &status) != 0) {
        return system_error(error_number, path, "create the directory");
    }
    if (S_ISDIR(status.st_mode)) return {};
    const char* what = S_ISLNK(status.st_mode) ? "a symbolic link" : "not a directory";
    return Error{ErrorCode::kCantOpen, path + ": is " + what + "; move it away"};
}

Status sync_directory(const std::string& path) {
    // Itself may be a symbolic link, which open() refuses.
    LITESTREAM_ASSIGN(const File directory, File::open(join_path(path, "."), O_RDONLY | O_DIRECTORY));
    if (::fsync(directory.descriptor()) != 0) return system_error(errno, path, "sync the directory");
    return {};
}

Result<std::vector<DirectoryEntry>> list_directory(const std::string& path) {
    DIR* handle = ::opendir(path.c_str());
    if (handle == nullptr) return system_error(errno, path, "list the directory");
    std::vector<DirectoryEntry> entries;
    errno = 0;
    while (const dirent* entry = ::readdir(handle)) {
        const std::string name = entry->d_name;
        if (name == "." || name == "..") continue;
        bool is_directory = entry->d_type == DT_DIR;
        if (entry->d_type == DT_UNKNOWN) {
            struct stat status = {};
            is_directory = ::fstatat(::dirfd(handle), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                           S_ISDIR(status.st_mode);
        }
        entries.push_back({name, is_directory});
        errno = 0;
    }
    const int error_number = errno;
    ::closedir(handle);
    if (error_number != 0) return system_error(error_number, path, "list the directory");
    std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return entries;
}

Status remove_file(const std::string& path) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error(errno, path, "remove");
    return {};
}

Status remove_directory_tree(const std::string& path) {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error && error != std::errc::no_such_file_or_directory) {
        return system_error(error.value(), path, "remove the directory");
    }
    return {};
}

Result<TempFile> TempFile::create(std::string target, const char* suffix, mode_t mode) {
    const std::string path = target + suffix;
    LITESTREAM_TRY(remove_file(path));
    LITESTREAM_ASSIGN(File file, File::open(path, O_RDWR | O_CREAT | O_EXCL, mode));
    return TempFile(std::move(file), std::move(target));
}

TempFile::~TempFile() {
    if (file_.is_open()) ::unlink(file_.path().c_str());
}

Status TempFile::publish(Durability durability, Replace replace) {
    if (durability == Durability::kSynced) LITESTREAM_TRY(file_.sync());
    const char* from = file_.path().c_str();
    const unsigned flags = replace == Replace::kNever ? RENAME_NOREPLACE : 0;
    if (::renameat2(AT_FDCWD, from, AT_FDCWD, target_.c_str(), flags) != 0) {
        // Some file systems (NFS, FUSE) know no flags; a hard link is their rename that never replaces.
        const bool no_flags = replace == Replace::kNever && (errno == EINVAL || errno == ENOSYS);
        if (!no_flags || ::link(from, target_.c_str()) != 0) return system_error(errno, target_, "publish");
        ::unlink(from);
    }
    file_.close();
    if (durability == Durability::kSynced) return sync_directory(parent_directory(target_));
    return {};
}

Status write_file_atomically(const std::string& path, ByteView bytes, mode_t mode) {
    LITESTREAM_ASSIGN(TempFile temp, TempFile::create(path, ".tmp", mode));
    LITESTREAM_TRY(temp.file().write(bytes));
    return temp.publish(Durability::kSynced, Replace::kAllowed);
}

// Not every file system can do without a name. Ending in .tmp it is removed with other leftovers if this
// process dies before it is removed here.
Result<File> open_nameless_file(const std::string& directory) {
    constexpr mode_t kMode = 0600;
    auto file = File::open(directory, O_TMPFILE | O_RDWR, kMode);
    if (file) return file;
    const std::string path = join_path(directory, "nameless-" + random_hex(8) + ".tmp");
    LITESTREAM_ASSIGN(File named, File::open(path, O_RDWR | O_CREAT | O_EXCL, kMode));
    LITESTREAM_TRY(remove_file(path));
    return named;
}

}  // namespace litestream
