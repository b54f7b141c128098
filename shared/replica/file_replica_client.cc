#include "shared/replica/file_replica_client.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "shared/base/clock.h"
#include "shared/base/random.h"
#include "shared/base/text.h"
#include "shared/format/path.h"
#include "shared/format/position.h"

namespace litestream {
namespace {

constexpr std::string_view kTempSuffix = ".tmp-";
constexpr std::size_t kTempRandomBytes = 4;
constexpr const char* kForm = "a file replica is file:///ABSOLUTE/PATH, with three slashes";

// Where a file may be read, its folder may be entered.
unsigned folder_mode(unsigned mode) { return mode | (mode & 0444) >> 2; }

// Like make_directories(), but what is created survives power loss.
Status make_synced_directories(const std::string& path, unsigned mode) {
    if (file_exists(path)) return make_directories(path, mode);
    const std::string parent = parent_directory(path);
    if (parent != path) LITESTREAM_TRY(make_synced_directories(parent, mode));
    LITESTREAM_TRY(make_directories(path, mode));
    return sync_directory(parent);
}

Status sync_if_there(const std::string& folder) {
    Status synced = sync_directory(folder);
    return !synced && synced.error().code == ErrorCode::kNotFound ? Status() : synced;
}

// What is not there yet holds nothing.
Result<std::vector<DirectoryEntry>> list_or_empty(const std::string& path) {
    auto entries = list_directory(path);
    if (!entries && entries.error().code == ErrorCode::kNotFound) return std::vector<DirectoryEntry>();
    return entries;
}

struct FileFacts {
    std::uint64_t size_bytes = 0;
    std::int64_t modified_ms = 0;
};

// nullopt: no regular file, or it was removed since it was listed.
Result<std::optional<FileFacts>> file_facts(const std::string& path) {
    struct stat status = {};
    if (::lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return std::optional<FileFacts>();
        return system_error(errno, path, "stat");
    }
    if (!S_ISREG(status.st_mode)) return std::optional<FileFacts>();
    return std::optional(FileFacts{static_cast<std::uint64_t>(status.st_size),
                                   status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1'000'000});
}

// Whether it is the temporary file of a segment or snapshot.
bool is_temporary(const std::string& name) {
    const std::size_t at = name.rfind(kTempSuffix);
    if (at == std::string::npos) return false;
    const std::string_view final_name = std::string_view(name).substr(0, at);
    const std::string_view random = std::string_view(name).substr(at + kTempSuffix.size());
    return random.size() == 2 * kTempRandomBytes && is_lower_hex(random) &&
           (parse_segment_name(final_name) || parse_snapshot_name(final_name));
}

Status remove_remnant(const std::string& path) {
    LITESTREAM_ASSIGN(const auto facts, file_facts(path));
    const bool is_old = facts && facts->modified_ms < wall_clock_ms() - kRemnantAgeMs;
    return is_old ? remove_file(path) : Status();
}

// With the remnants in it. One that holds something else stays, which is no error.
Status remove_empty_folder(const std::string& path) {
    LITESTREAM_ASSIGN(const auto entries, list_or_empty(path));
    for (const DirectoryEntry& entry : entries) {
        if (entry.is_directory || !is_temporary(entry.name)) continue;
        LITESTREAM_TRY(remove_remnant(join_path(path, entry.name)));
    }
    const bool is_gone = ::rmdir(path.c_str()) == 0 || errno == ENOENT;
    if (is_gone || errno == ENOTEMPTY || errno == EEXIST) return {};
    return system_error(errno, path, "remove the directory");
}

}  // namespace

Result<std::unique_ptr<ReplicaClient>> FileReplicaClient::create(const Url& url, unsigned mode) {
    const bool here = url.host.empty() || url.host == "localhost";
    if (!here || !url.port.empty()) {
        return bad_input(url.to_string() + ": names the host \"" + url.host + "\": " + kForm);
    }
    if (url.path.empty() || url.path[0] != '/' || url.path.find_first_not_of('/') == std::string::npos) {
        return bad_input(url.to_string() + ": names no directory: " + kForm);
    }
    if (!url.query.empty()) {
        return bad_input(url.to_string() + ": unknown key \"" + url.query[0].first +
                         "\" in the query: a file replica takes none");
    }
    std::string root = url.path;
    while (root.back() == '/') root.pop_back();
    Url shown = url;
    shown.path = root;
    return std::unique_ptr<ReplicaClient>(new FileReplicaClient(shown.to_string(), root, mode));
}

std::string FileReplicaClient::path_of(const std::string& name) const { return join_path(root_, name); }

Result<std::vector<std::string>> FileReplicaClient::generations() {
    LITESTREAM_ASSIGN(const auto entries, list_or_empty(path_of(generations_path())));
    std::vector<std::string> names;
    for (const DirectoryEntry& entry : entries) {
        if (entry.is_directory && is_generation_name(entry.name)) names.push_back(entry.name);
    }
    return names;
}

Result<std::vector<SnapshotInfo>> FileReplicaClient::snapshots(const std::string& generation) {
    if (!seen_root_) seen_root_ = identity_of(root_);
    const std::string folder = snapshots_path(generation);
    LITESTREAM_ASSIGN(const auto entries, list_or_empty(path_of(folder)));
    std::vector<SnapshotInfo> infos;
    for (const DirectoryEntry& entry : entries) {
        const auto parsed = parse_snapshot_name(entry.name);
        if (!parsed) continue;
        const std::string name = join_path(folder, entry.name);
        LITESTREAM_ASSIGN(const auto facts, file_facts(path_of(name)));
        if (facts) infos.push_back({generation, parsed->index, facts->size_bytes, facts->modified_ms, name});
    }
    sort_files(infos);
    return infos;
}

Result<std::vector<SegmentInfo>> FileReplicaClient::segments(const std::string& generation) {
    const std::string folder = wal_path(generation);
    LITESTREAM_ASSIGN(const auto entries, list_or_empty(path_of(folder)));
    std::vector<SegmentInfo> infos;
    for (const DirectoryEntry& entry : entries) {
        if (entry.is_directory) {
            LITESTREAM_TRY(add_index(generation, entry.name, infos));
        } else if (const auto parsed = parse_v3_segment_name(entry.name)) {
            const std::string name = join_path(folder, entry.name);
            LITESTREAM_TRY(add_segment({generation, parsed->first, parsed->second, 0, 0, name}, infos));
        }
    }
    sort_files(infos);
    return infos;
}

Status FileReplicaClient::add_index(const std::string& generation, const std::string& name,
                                    std::vector<SegmentInfo>& out) {
    const auto index = parse_index_name(name);
    if (!index) return {};
    const std::string folder = join_path(wal_path(generation), name);
    LITESTREAM_ASSIGN(const auto entries, list_or_empty(path_of(folder)));
    for (const DirectoryEntry& entry : entries) {
        const auto offset = parse_segment_name(entry.name);
        if (!offset) continue;
        LITESTREAM_TRY(add_segment({generation, *index, *offset, 0, 0, join_path(folder, entry.name)}, out));
    }
    return {};
}

Status FileReplicaClient::add_segment(SegmentInfo info, std::vector<SegmentInfo>& out) const {
    LITESTREAM_ASSIGN(const auto facts, file_facts(path_of(info.name)));
    if (!facts) return {};
    info.size_bytes = facts->size_bytes;
    info.created_ms = facts->modified_ms;
    out.push_back(std::move(info));
    return {};
}

Result<std::unique_ptr<Source>> FileReplicaClient::open(const std::string& name) {
    LITESTREAM_ASSIGN(File file, File::open(path_of(name), O_RDONLY));
    return std::unique_ptr<Source>(std::make_unique<FileSource>(std::move(file)));
}

Result<std::optional<Trailer>> FileReplicaClient::trailer(const std::string& name) {
    LITESTREAM_ASSIGN(const File file, File::open(path_of(name), O_RDONLY));
    return read_trailer(file);
}

Status FileReplicaClient::publish(const std::string& name, const Producer& producer) {
    const std::string path = path_of(name);
    if (file_exists(path)) return Error{ErrorCode::kExists, path + ": exists already and is not replaced"};
    return write(name, producer, Replace::kNever);
}

Status FileReplicaClient::replace(const std::string& name, const Producer& producer) {
    return write(name, producer, Replace::kAllowed);
}

Status FileReplicaClient::check_root() {
    if (!seen_root_ || seen_root_ == identity_of(root_)) return {};
    seen_root_.reset();
    return Error{ErrorCode::kIo, root_ + ": the replica's directory was removed or replaced"};
}

Status FileReplicaClient::write(const std::string& name, const Producer& producer, Replace replace) {
    const std::string path = path_of(name);
    LITESTREAM_TRY(check_root());
    LITESTREAM_TRY(make_synced_directories(parent_directory(path), folder_mode(mode_)));
    if (!seen_root_) seen_root_ = identity_of(root_);
    const std::string suffix = std::string(kTempSuffix) + random_hex(kTempRandomBytes);
    LITESTREAM_ASSIGN(TempFile temp, TempFile::create(path, suffix.c_str(), mode_));
    const Sink sink = [&temp](ByteView bytes) { return temp.file().write(bytes); };
    if (auto status = producer(sink); !status) return std::move(status).error().context(path);
    return temp.publish(Durability::kSynced, replace);
}

Status FileReplicaClient::settle(const Position& end) {
    const std::string wal = wal_path(end.generation);
    for (const std::string& folder :
         {index_path(end.generation, end.index), wal, snapshots_path(end.generation),
          generation_path(end.generation), std::string(generations_path()), std::string()}) {
        LITESTREAM_TRY(sync_if_there(folder.empty() ? root_ : path_of(folder)));
    }
    return {};
}

// --- Removing: of segments not synced, since what power loss brings back is removed again ---

Status FileReplicaClient::remove(const std::string& name) {
    LITESTREAM_TRY(remove_file(path_of(name)));
    // Folders below generations/, as long as they are empty.
    for (std::string folder = parent_directory(name); folder.find('/') != std::string::npos;
         folder = parent_directory(folder)) {
        if (::rmdir(path_of(folder).c_str()) != 0) break;
    }
    return {};
}

Status FileReplicaClient::remove_all(const std::vector<std::string>& names) {
    std::set<std::string> folders;
    for (const std::string& name : names) {
        const bool is_snapshot = parse_snapshot_name(name.substr(name.rfind('/') + 1)).has_value();
        if (is_snapshot) folders.insert(parent_directory(path_of(name)));
    }
    LITESTREAM_TRY(ReplicaClient::remove_all(names));
    for (std::string folder : folders) {  // it goes with the last one
        while (!file_exists(folder) && folder.size() > root_.size()) folder = parent_directory(folder);
        LITESTREAM_TRY(sync_if_there(folder));
    }
    return {};
}

Status FileReplicaClient::remove_remains(const std::string& generation) {
    const std::string wal = wal_path(generation);
    LITESTREAM_ASSIGN(const auto indexes, list_or_empty(path_of(wal)));
    for (const DirectoryEntry& entry : indexes) {
        if (!entry.is_directory || !parse_index_name(entry.name)) continue;
        LITESTREAM_TRY(remove_empty_folder(path_of(join_path(wal, entry.name))));
    }
    LITESTREAM_TRY(remove_empty_folder(path_of(wal)));
    LITESTREAM_TRY(remove_empty_folder(path_of(snapshots_path(generation))));
    return remove_empty_folder(path_of(generation_path(generation)));
}

}  // namespace litestream
