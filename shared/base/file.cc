#include "shared/base/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace litestream {

Error system_error(int error_number, const std::string& path, const char* what) {
    ErrorCode code = ErrorCode::kIo;
    if (error_number == ENOENT) code = ErrorCode::kNotFound;
    if (error_number == EEXIST) code = ErrorCode::kExists;
    if (error_number == EACCES || error_number == EPERM || error_number == ENOTDIR || error_number == ELOOP ||
        error_number == EROFS || error_number == EISDIR || error_number == ENAMETOOLONG) {
        code = ErrorCode::kCantOpen;
    }
    char text[128];
    return {code, path + ": cannot " + what + ": " + strerror_r(error_number, text, sizeof text)};
}

File::File(File&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

File& File::operator=(File&& other) noexcept {
    if (this != &other) {
        close();
        descriptor_ = std::exchange(other.descriptor_, -1);
        path_ = std::move(other.path_);
    }
    return *this;
}

File::~File() { close(); }

void File::close() {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

Result<File> File::open(const std::string& path, int flags, mode_t mode) {
    int descriptor;
    do {
        descriptor = ::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode);
    } while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0) return system_error(errno, path, (flags & O_CREAT) != 0 ? "create" : "open");
    return File(descriptor, path);
}

Result<std::size_t> File::read_at(std::uint64_t offset, ByteSpan buffer) const {
    std::size_t done = 0;
    while (done < buffer.size()) {
        const ssize_t n = ::pread(descriptor_, buffer.data() + done, buffer.size() - done,
                                  static_cast<off_t>(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return system_error(errno, path_, "read");
        if (n == 0) break;
        done += static_cast<std::size_t>(n);
    }
    return done;
}

Status File::read_exactly_at(std::uint64_t offset, ByteSpan buffer) const {
    LITESTREAM_ASSIGN(const std::size_t n, read_at(offset, buffer));
    if (n < buffer.size()) return corrupt(path_ + ": ends early, at byte " + std::to_string(offset + n));
    return {};
}

Status File::write_at(std::uint64_t offset, ByteView bytes) const {
    while (!bytes.empty()) {
        const ssize_t n = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return system_error(errno, path_, "write");
        bytes = bytes.subspan(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
    return {};
}

Status File::write(ByteView bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(descriptor_, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return system_error(errno, path_, "write");
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return {};
}

Status File::truncate(std::uint64_t size_bytes) const {
    if (::ftruncate(descriptor_, static_cast<off_t>(size_bytes)) != 0) {
        return system_error(errno, path_, "truncate");
    }
    return {};
}

Status File::sync() const {
    if (::fdatasync(descriptor_) != 0) return system_error(errno, path_, "sync");
    return {};
}

Result<struct stat> File::status() const {
    struct stat status = {};
    if (::fstat(descriptor_, &status) != 0) return system_error(errno, path_, "stat");
    return status;
}

Result<std::size_t> FileSource::read(ByteSpan buffer) {
    LITESTREAM_ASSIGN(const std::size_t n, file_.read_at(offset_, buffer));
    offset_ += n;
    return n;
}

Result<Bytes> read_file(const std::string& path, std::size_t limit_bytes) {
    LITESTREAM_ASSIGN(const File file, File::open(path, O_RDONLY));
    LITESTREAM_ASSIGN(const struct stat status, file.status());
    if (static_cast<std::uint64_t>(status.st_size) > limit_bytes) {
        return corrupt(path + ": has " + std::to_string(status.st_size) + " bytes, more than " +
                       std::to_string(limit_bytes));
    }
    Bytes bytes(static_cast<std::size_t>(status.st_size));
    LITESTREAM_TRY(file.read_exactly_at(0, bytes));
    return bytes;
}

std::optional<FileIdentity> identity_of(const std::string& path) {
    struct statx status = {};
    if (::statx(AT_FDCWD, path.c_str(), 0, STATX_INO | STATX_BTIME, &status) != 0) return std::nullopt;
    return FileIdentity{std::uint64_t{status.stx_dev_major} << 32 | status.stx_dev_minor, status.stx_ino,
                        status.stx_btime.tv_sec * 1'000'000'000 + status.stx_btime.tv_nsec};
}

bool file_exists(const std::string& path) {
    struct stat status = {};
    return ::lstat(path.c_str(), &status) == 0;
}

}  // namespace litestream
