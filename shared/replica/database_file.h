// DatabaseFile: the database that a restore writes: first the bytes of a snapshot, then single pages by
// number. Lives under a temporary name beside the target until it is published, and disappears if it is not.
// Thread-bound. Memory: none of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "shared/base/directory.h"

namespace litestream {

class DatabaseFile {
  public:
    using OnProgress = std::function<Status(std::uint64_t bytes)>;

    // kExists: `path` is taken. kCantOpen: something beside it is in the way, or its directory is missing.
    static Result<DatabaseFile> create(const std::string& path, OnProgress on_progress);
    DatabaseFile(DatabaseFile&& other) noexcept = default;
    DatabaseFile& operator=(DatabaseFile&& other) = delete;
    ~DatabaseFile() = default;

    const std::string& temporary_path() { return temp_.file().path(); }
    std::uint64_t size_bytes() const { return size_bytes_; }
    // Of page 1; 0 while nothing is known.
    std::uint32_t page_size() const { return page_size_; }

    Status append(ByteView bytes);  // of the snapshot
    // Behind the last byte of the snapshot: its size and page 1 must agree. Empty is no error.
    Status finish_snapshot();
    Status write_page(std::uint32_t page_no, ByteView page);
    Status set_page_count(std::uint32_t pages);
    Status publish();

  private:
    DatabaseFile(TempFile temp, std::string path, OnProgress on_progress)
        : temp_(std::move(temp)), path_(std::move(path)), on_progress_(std::move(on_progress)) {}
    Status report(std::size_t written);

    TempFile temp_;
    std::string path_;
    OnProgress on_progress_;
    std::uint64_t size_bytes_ = 0;
    std::uint32_t page_size_ = 0;
    std::uint64_t written_bytes_ = 0;
    std::uint64_t reported_bytes_ = 0;
};

}  // namespace litestream
