#include "shared/replica/database_file.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <array>

#include "shared/base/random.h"
#include "shared/base/text.h"
#include "shared/format/wal.h"

namespace litestream {
namespace {

// Often enough to notice an interrupt at once, on any disk.
constexpr std::uint64_t kProgressBytes = 1u << 20;

// The database header (https://sqlite.org/fileformat2.html, section 1.3).
constexpr std::string_view kMagic{"SQLite format 3\0", 16};
constexpr std::size_t kDatabaseHeaderSize = 100;

constexpr std::string_view kTempSuffix = ".tmp-";
constexpr std::size_t kTempRandomBytes = 8;

// Whoever writes a temporary file keeps an flock(2) on it, which ends with the process; no lock of SQLite's
// meets it. What nobody holds was left by a restore that died.
bool take_hold(const File& file) { return ::flock(file.descriptor(), LOCK_EX | LOCK_NB) == 0; }

void remove_remnants(const std::string& path) {
    const std::string parent = parent_directory(path);
    const auto entries = list_directory(parent);
    if (!entries) return;
    const std::string prefix = path.substr(path.rfind('/') + 1).append(kTempSuffix);
    for (const DirectoryEntry& entry : *entries) {
        const std::string_view name = entry.name;
        if (entry.is_directory || !name.starts_with(prefix)) continue;
        const std::string_view random = name.substr(prefix.size());
        if (random.size() != 2 * kTempRandomBytes || !is_lower_hex(random)) continue;
        const auto file = File::open(join_path(parent, name), O_RDONLY);
        if (file && take_hold(*file)) (void)remove_file(file->path());
    }
}

Status check_surroundings(const std::string& path) {
    if (path.empty()) return bad_input("the path of the database to restore is empty");
    if (file_exists(path)) {
        return Error{ErrorCode::kExists, path + ": already exists; choose another path or remove it"};
    }
    for (const char* suffix : {"-wal", "-shm", "-journal"}) {
        if (!file_exists(path + suffix)) continue;
        return Error{ErrorCode::kCantOpen, path + suffix +
                                               ": was left by another database and would damage " + path +
                                               "; choose another path or remove it"};
    }
    const std::string parent = parent_directory(path);
    if (!file_exists(parent)) {
        return Error{ErrorCode::kCantOpen, path + ": the directory " + parent + " does not exist"};
    }
    return {};
}

}  // namespace

Result<DatabaseFile> DatabaseFile::create(const std::string& path, OnProgress on_progress) {
    LITESTREAM_TRY(check_surroundings(path));
    remove_remnants(path);
    const std::string suffix = std::string(kTempSuffix) + random_hex(kTempRandomBytes);
    LITESTREAM_ASSIGN(TempFile temp, TempFile::create(path, suffix.c_str(), 0600));
    (void)take_hold(temp.file());  // without it, a restore to the same path at the same time might remove it
    return DatabaseFile(std::move(temp), path, std::move(on_progress));
}

Status DatabaseFile::report(std::size_t written) {
    written_bytes_ += written;
    if (!on_progress_ || written_bytes_ - reported_bytes_ < kProgressBytes) return {};
    reported_bytes_ = written_bytes_;
    return on_progress_(written_bytes_);
}

Status DatabaseFile::append(ByteView bytes) {
    LITESTREAM_TRY(temp_.file().write_at(size_bytes_, bytes));
    size_bytes_ += bytes.size();
    return report(bytes.size());
}

Status DatabaseFile::finish_snapshot() {
    if (size_bytes_ == 0) return {};
    std::array<std::uint8_t, kDatabaseHeaderSize> header = {};
    if (size_bytes_ < header.size()) return corrupt("is too short for a database");
    LITESTREAM_TRY(temp_.file().read_exactly_at(0, header));
    if (as_text(header).substr(0, kMagic.size()) != kMagic) return corrupt("is no SQLite database");
    page_size_ = load_page_size(&header[kPageSizeAt]);
    if (!is_page_size(page_size_)) return corrupt("page 1 has the page size " + std::to_string(page_size_));
    if (size_bytes_ % page_size_ != 0) return corrupt("ends inside a page");
    return {};
}

Status DatabaseFile::write_page(std::uint32_t page_no, ByteView page) {
    if (page_no == 0) return corrupt("a frame has the page number 0");
    if (page_size_ == 0) page_size_ = static_cast<std::uint32_t>(page.size());
    if (page.size() != page_size_) {
        return corrupt("has pages of " + std::to_string(page.size()) + " bytes, the database of " +
                       std::to_string(page_size_));
    }
    const std::uint64_t offset = std::uint64_t{page_no - 1} * page_size_;
    LITESTREAM_TRY(temp_.file().write_at(offset, page));
    size_bytes_ = std::max(size_bytes_, offset + page.size());
    return report(page.size());
}

Status DatabaseFile::set_page_count(std::uint32_t pages) {
    size_bytes_ = std::uint64_t{pages} * page_size_;
    return temp_.file().truncate(size_bytes_);
}

Status DatabaseFile::publish() {
    // It could also have come into being while the restore ran.
    LITESTREAM_TRY(check_surroundings(path_));
    return temp_.publish(Durability::kSynced, Replace::kNever);
}

}  // namespace litestream
