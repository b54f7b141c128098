#include "vfs/first_image.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "shared/base/directory.h"

namespace litestream {

namespace {

constexpr std::uint8_t kJournalMagic[8] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};
constexpr std::uint32_t kSectorSize = 512;
constexpr int kLockTries = 500;
constexpr int kLockNapMs = 10;
constexpr std::size_t kPiece = 65536;  // the unix VFS takes at most 131,071 bytes a call

Error failed(const std::string& path, const char* what, int rc) {
    const bool is_busy = rc == SQLITE_BUSY || rc == SQLITE_LOCKED;
    return {is_busy ? ErrorCode::kBusy : ErrorCode::kIo, path + ": " + what + ": " + sqlite3_errstr(rc)};
}

// Hot as soon as it is there and nobody has RESERVED: no page records, the database had no pages.
Status write_journal(const std::string& path, std::uint32_t page_size, unsigned mode) {
    Bytes header(kSectorSize);
    std::copy_n(kJournalMagic, sizeof(kJournalMagic), header.begin());
    store_be32(header.data() + 20, kSectorSize);
    store_be32(header.data() + 24, page_size);
    // An empty one was left by a process that died here. SQLite takes it for none and leaves it there.
    struct stat left = {};
    if (::lstat(path.c_str(), &left) == 0 && left.st_size == 0) LITESTREAM_TRY(remove_file(path));
    LITESTREAM_ASSIGN(const File file, File::open(path, O_RDWR | O_CREAT | O_EXCL, mode));
    LITESTREAM_TRY(file.write_at(0, header));
    LITESTREAM_TRY(file.sync());
    return sync_directory(std::filesystem::path(path).parent_path());
}

Status copy_pages(sqlite3_file* file, const std::string& path, const File& image, std::uint64_t size) {
    Bytes piece(kPiece);
    for (std::uint64_t at = 0; at < size; at += kPiece) {
        const std::size_t n = std::min<std::uint64_t>(kPiece, size - at);
        LITESTREAM_TRY(image.read_exactly_at(at, ByteSpan(piece).first(n)));
        const int rc =
            file->pMethods->xWrite(file, piece.data(), static_cast<int>(n), static_cast<sqlite3_int64>(at));
        if (rc != SQLITE_OK) return failed(path, "cannot write", rc);
    }
    const int rc = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
    return rc == SQLITE_OK ? Status() : failed(path, "cannot sync", rc);
}

// Taken on the idle connection's handle, below its pager, which would begin a database of its own.
class ExclusiveLock {
  public:
    explicit ExclusiveLock(sqlite3_file* file) : file_(file) {}
    ~ExclusiveLock() { file_->pMethods->xUnlock(file_, SQLITE_LOCK_NONE); }
    ExclusiveLock(const ExclusiveLock&) = delete;
    ExclusiveLock& operator=(const ExclusiveLock&) = delete;

    int try_take() {
        for (const int level : {SQLITE_LOCK_SHARED, SQLITE_LOCK_RESERVED, SQLITE_LOCK_EXCLUSIVE}) {
            const int rc = file_->pMethods->xLock(file_, level);
            if (rc != SQLITE_OK) {
                file_->pMethods->xUnlock(file_, SQLITE_LOCK_NONE);
                return rc;
            }
        }
        return SQLITE_OK;
    }

  private:
    sqlite3_file* file_;
};

Status write_locked(sqlite3_file* file, const std::string& path, const File& image, std::uint32_t page_size,
                    std::uint32_t page_count) {
    sqlite3_int64 size = 0;
    if (file->pMethods->xFileSize(file, &size) != SQLITE_OK || size != 0) {
        return Error{ErrorCode::kBusy, path + ": is not empty any more"};
    }
    struct stat status = {};
    if (::stat(path.c_str(), &status) != 0) return system_error(errno, path, "stat");
    const std::string journal = path + "-journal";
    LITESTREAM_TRY(write_journal(journal, page_size, status.st_mode & 0666));
    auto copied = copy_pages(file, path, image, std::uint64_t{page_size} * page_count);
    // Undone here as the next opener would: the database is empty, then the journal goes.
    if (!copied && file->pMethods->xTruncate(file, 0) != SQLITE_OK) return copied;
    LITESTREAM_TRY(remove_file(journal));
    LITESTREAM_TRY(sync_directory(std::filesystem::path(path).parent_path()));
    return copied;
}

}  // namespace

Status write_first_image(sqlite3* connection, const std::string& path, const File& image,
                         std::uint32_t page_size, std::uint32_t page_count) {
    sqlite3_file* file = nullptr;
    const int found = sqlite3_file_control(connection, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (found != SQLITE_OK || file == nullptr || file->pMethods == nullptr) {
        return failed(path, "cannot be reached", found);
    }
    ExclusiveLock lock(file);
    int rc = SQLITE_BUSY;
    for (int tries = 0; tries < kLockTries && rc == SQLITE_BUSY; ++tries) {
        if (tries > 0) std::this_thread::sleep_for(std::chrono::milliseconds(kLockNapMs));
        rc = lock.try_take();
    }
    if (rc != SQLITE_OK) return failed(path, "cannot be locked for its first content", rc);
    return write_locked(file, path, image, page_size, page_count);
}

}  // namespace litestream
