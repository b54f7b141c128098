// TempDirectory: an empty directory below TMPDIR that lives as long as the test. Thread-bound.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>

#include "shared/base/directory.h"
#include "shared/base/random.h"

namespace litestream {

class TempDirectory {
  public:
    // The path has no symbolic links in it: it compares equal to the names that SQLite gives.
    TempDirectory()
        : path_(std::filesystem::canonical(std::filesystem::temp_directory_path()) /
                ("litestream-test-" + random_hex(8))) {
        if (!make_directories(path_, 0700)) throw std::runtime_error("cannot create " + path_);
    }
    ~TempDirectory() { (void)remove_directory_tree(path_).has_value(); }
    TempDirectory(const TempDirectory&) = delete;
    TempDirectory& operator=(const TempDirectory&) = delete;

    const std::string& path() const { return path_; }
    std::string path(std::string_view name) const { return join_path(path_, name); }

  private:
    std::string path_;
};

}  // namespace litestream
