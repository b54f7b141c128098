#include "ext/replica_directory.h"

#include <stdlib.h>
#include <unistd.h>

#include <memory>

#include "shared/base/directory.h"

namespace litestream {
namespace {

std::string resolved(const std::string& path) {
    const std::unique_ptr<char, decltype(&::free)> real(::realpath(path.c_str(), nullptr), &::free);
    return real ? real.get() : path;
}

bool is_within(const std::string& path, const std::string& directory) {
    return path == directory || path.starts_with(directory + "/");
}

// Only an attempt tells: permission bits say nothing to root, nothing about a read-only file system.
Status try_to_write(const std::string& directory) {
    auto probe = TempFile::create(join_path(directory, "litestream-probe"), ".tmp", 0600);
    if (probe) return {};
    Error error = std::move(probe).error();
    return Error{ErrorCode::kCantOpen, "a replica cannot be written there: " + error.message};
}

}  // namespace

Result<ReplicaDirectory> ReplicaDirectory::prepare(const Url& url, unsigned mode,
                                                   const std::string& meta_directory) {
    ReplicaDirectory directory;
    if (url.scheme != "file") return directory;
    if (auto status = directory.create(url.path, mode | (mode & 0444) >> 2); !status) {
        Error error = std::move(status).error();
        return Error{ErrorCode::kCantOpen, "the replica's directory cannot be created: " + error.message};
    }
    LITESTREAM_TRY(check_place(url, meta_directory));
    LITESTREAM_TRY(try_to_write(url.path));
    return directory;
}

Status ReplicaDirectory::check_place(const Url& url, const std::string& meta_directory) {
    if (url.scheme != "file" || !is_within(resolved(url.path), resolved(meta_directory))) return {};
    return bad_input(url.path + " is the database's own meta directory; choose another");
}

Status ReplicaDirectory::create(const std::string& path, unsigned folder_mode) {
    if (!file_exists(path)) {
        const std::string parent = parent_directory(path);
        if (parent != path) LITESTREAM_TRY(create(parent, folder_mode));
        LITESTREAM_TRY(make_directories(path, folder_mode));
        created_.push_back(path);
        return {};
    }
    return make_directories(path, folder_mode);  // an error unless it is a directory
}

ReplicaDirectory::~ReplicaDirectory() {
    for (auto path = created_.rbegin(); path != created_.rend(); ++path) ::rmdir(path->c_str());
}

}  // namespace litestream
