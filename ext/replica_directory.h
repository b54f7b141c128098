// ReplicaDirectory: makes sure, before anything is remembered, that a file replica's directory can be created
// and written. What it had to create disappears again unless it is kept: a call that fails changes nothing.
// Thread-bound.
#pragma once

#include <string>
#include <vector>

#include "shared/base/url.h"

namespace litestream {

class ReplicaDirectory {
  public:
    // `mode`: of the replica's files. Other schemes than file have nothing to prepare.
    static Result<ReplicaDirectory> prepare(const Url& url, unsigned mode, const std::string& meta_directory);
    // Not within the database's own meta directory.
    static Status check_place(const Url& url, const std::string& meta_directory);
    ReplicaDirectory(ReplicaDirectory&& other) noexcept : created_(std::move(other.created_)) {
        other.keep();
    }
    ReplicaDirectory& operator=(ReplicaDirectory&&) = delete;
    ~ReplicaDirectory();

    void keep() { created_.clear(); }

  private:
    ReplicaDirectory() = default;
    Status create(const std::string& path, unsigned folder_mode);

    std::vector<std::string> created_;  // outermost first
};

}  // namespace litestream
