#include "tests/replica/replica_files.h"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>

namespace litestream {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kLimit = 64u << 20;

}  // namespace

Bytes read_whole(const std::string& path) {
    auto bytes = read_file(path, kLimit);
    REQUIRE_MESSAGE(bytes, path);
    return *std::move(bytes);
}

ReplicaFiles::ReplicaFiles() {
    REQUIRE(make_directories(directory_.path("output"), 0700));
    auto client = open_replica_client(*Url::parse(url()));
    REQUIRE(client);
    client_ = *std::move(client);
}

void ReplicaFiles::copy_golden(const std::string& name) {
    fs::remove_all(root());
    fs::copy(std::string(TEST_DATA) + "/golden/" + name + "/replica", root(), fs::copy_options::recursive);
}

std::vector<std::string> ReplicaFiles::names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(root())) {
        if (entry.is_regular_file()) names.push_back(fs::relative(entry.path(), root()).string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

Bytes ReplicaFiles::read(const std::string& name) const { return read_whole(join_path(root(), name)); }

void ReplicaFiles::write(const std::string& name, ByteView bytes) const {
    auto file = File::open(join_path(root(), name), O_WRONLY | O_CREAT | O_TRUNC);
    REQUIRE(file);
    REQUIRE(file->write_at(0, bytes));
}

void ReplicaFiles::remove(const std::string& name) const { REQUIRE(remove_file(join_path(root(), name))); }

void ReplicaFiles::set_time(const std::string& name, std::int64_t time_ms) const {
    const struct timespec time = {time_ms / 1000, time_ms % 1000 * 1'000'000};
    const struct timespec times[2] = {time, time};
    REQUIRE(::utimensat(AT_FDCWD, join_path(root(), name).c_str(), times, 0) == 0);
}

Restored ReplicaFiles::restore(const RestoreOptions& options) {
    Restored restored;
    restored.result = litestream::restore(*client_, output(), options);
    if (restored.result) {
        restored.database = read_whole(output());
        REQUIRE(remove_file(output()));
    }
    const auto entries = list_directory(parent_directory(output()));
    REQUIRE(entries);
    for (const DirectoryEntry& entry : *entries) {
        restored.leftovers.push_back(entry.name);
        REQUIRE(remove_file(join_path(parent_directory(output()), entry.name)));
    }
    return restored;
}

Restored ReplicaFiles::restore_position(const Position& position) {
    RestoreOptions options;
    options.position = position;
    return restore(options);
}

Restored ReplicaFiles::restore_index(std::uint64_t index) {
    RestoreOptions options;
    options.index = index;
    return restore(options);
}

Restored ReplicaFiles::restore_time(std::int64_t time_ms) {
    RestoreOptions options;
    options.timestamp_ms = time_ms;
    return restore(options);
}

}  // namespace litestream
