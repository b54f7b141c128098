// File: an open file descriptor that closes itself, with errors that name the path.
//
// Not for a live database or its -shm: closing any descriptor of those inodes drops every POSIX lock
// that the process holds on them (SQLite, os_unix.c, "POSIX advisory locks are broken by design").
// The -wal and the meta directory carry no SQLite locks and may be opened.
//
// Thread-bound, except read_at() and write_at(), which take no position and are reentrant.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>

#include "shared/base/bytes.h"
#include "shared/base/result.h"
#include "shared/base/stream.h"

namespace litestream {

// "PATH: cannot WHAT: No such file or directory", with the code that fits errno.
Error system_error(int error_number, const std::string& path, const char* what);

class File {
  public:
    File() = default;
    File(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
    File(File&& other) noexcept;
    File& operator=(File&& other) noexcept;
    ~File();

    // `flags` of open(2); O_CLOEXEC and O_NOFOLLOW are added.
    static Result<File> open(const std::string& path, int flags, mode_t mode = 0600);

    bool is_open() const { return descriptor_ >= 0; }
    int descriptor() const { return descriptor_; }
    const std::string& path() const { return path_; }

    // The bytes at `offset`; fewer than asked for only at the end of the file.
    Result<std::size_t> read_at(std::uint64_t offset, ByteSpan buffer) const;
    // All of `buffer` or an error (a short file is kCorrupt).
    Status read_exactly_at(std::uint64_t offset, ByteSpan buffer) const;
    Status write_at(std::uint64_t offset, ByteView bytes) const;
    Status write(ByteView bytes);  // at the file's own position
    Status truncate(std::uint64_t size_bytes) const;
    Status sync() const;  // fdatasync
    Result<struct stat> status() const;
    void close();

  private:
    int descriptor_ = -1;
    std::string path_;
};

class FileSource final : public Source {
  public:
    explicit FileSource(File file) : file_(std::move(file)) {}
    Result<std::size_t> read(ByteSpan buffer) override;

  private:
    File file_;
    std::uint64_t offset_ = 0;
};

// The whole file, at most `limit_bytes` of it (a longer one is kCorrupt).
Result<Bytes> read_file(const std::string& path, std::size_t limit_bytes);
bool file_exists(const std::string& path);

// Which file or directory a name stands for. The time of birth tells apart two that had the same inode number
// one after the other, where the file system records it.
struct FileIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t born_ns = 0;

    bool operator==(const FileIdentity&) const = default;
};
std::optional<FileIdentity> identity_of(const std::string& path);  // nullopt: cannot be told, or not there

}  // namespace litestream
