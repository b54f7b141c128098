// How the list of segments is read when a database is opened, and how a tail that power loss damaged is
// dropped.
#include <fcntl.h>

#include <algorithm>

#include "shared/base/clock.h"
#include "shared/format/path.h"
#include "shared/store/segment_store.h"

namespace litestream {

namespace {

constexpr std::uint64_t kBlock = 4096;

std::uint64_t on_disk(std::uint64_t size_bytes) { return (size_bytes + kBlock - 1) / kBlock * kBlock; }

std::string trimmed(ByteView bytes) {
    const std::string_view text = as_text(bytes);
    const auto first = text.find_first_not_of(" \t\r\n");
    const auto last = text.find_last_not_of(" \t\r\n");
    return first == std::string_view::npos ? "" : std::string(text.substr(first, last - first + 1));
}

// "" when the file is missing.
Result<std::string> read_small_text(const std::string& path) {
    auto bytes = read_file(path, 4096);
    if (bytes) return trimmed(*bytes);
    if (bytes.error().code == ErrorCode::kNotFound) return std::string();
    return std::move(bytes).error();
}

bool has_suffix(const std::string& name, std::string_view suffix) {
    return name.size() >= suffix.size() &&
           name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0;
}

// The whole segment is read: an unsynced file may have its name and size but not its bytes after power loss.
Result<std::optional<Trailer>> verify_segment(const std::string& path) {
    LITESTREAM_ASSIGN(File file, File::open(path, O_RDONLY));
    FileSource source(std::move(file));
    return read_payload(source, [](ByteView) { return Status(); });
}

std::string damage_of(const SegmentRef& segment, const Result<std::optional<Trailer>>& read) {
    const std::string what = !read    ? read.error().message
                             : !*read ? "cut short before its trailer"
                                      : "its trailer is another segment's";
    return "segment " + segment_path(segment.generation, segment.index, segment.start) +
           " is damaged (power loss or a full disk?): " + what;
}

}  // namespace

void SegmentStore::close() {
    tail_.reset();
    tail_is_foreign_ = false;
    damage_.clear();
    position_file_.close();
    const std::lock_guard lock(mutex_);
    is_open_ = false;
    first_no_ += segments_.size();  // numbers go on: nothing read from here on counts as synced
    segments_.clear();
    history_.clear();
    local_bytes_ = 0;
    generation_no_ = 0;
    generation_.clear();
    end_ = {};
    reason_.clear();
    promised_ = {};
}

Status SegmentStore::open(unsigned database_mode) {
    file_mode_ = database_mode & 0666;
    folder_mode_ = file_mode_ | (file_mode_ >> 2 & 0111);
    struct stat status = {};
    if (::lstat(path_.c_str(), &status) == 0 && !S_ISDIR(status.st_mode)) {
        return Error{ErrorCode::kCantOpen, path_ + ": is not a directory; move it away"};
    }
    LITESTREAM_TRY(make_directories(path_, folder_mode_));
    LITESTREAM_TRY(remove_leftovers(path_));
    LITESTREAM_ASSIGN(const std::string generation, read_small_text(full("generation")));
    close();
    if (is_generation_name(generation)) {
        LITESTREAM_TRY(check_folder(wal_path(generation)));
        LITESTREAM_ASSIGN(std::string reason, read_small_text(full(generation_path(generation) + "/reason")));
        {
            const std::lock_guard lock(mutex_);
            generation_ = generation;
            reason_ = std::move(reason);
        }
        LITESTREAM_TRY(load_generation(generation));
        LITESTREAM_TRY(find_tail());
        LITESTREAM_TRY(load_promises(generation));
    }
    {
        const std::lock_guard lock(mutex_);
        is_open_ = true;
    }
    publish({}, nullptr);  // what an earlier process left behind may be sent
    return {};
}

// Temporary files of a writer that died: everything that ends in .tmp, everywhere below.
Status SegmentStore::remove_leftovers(const std::string& directory) {
    LITESTREAM_ASSIGN(const auto entries, list_directory(directory));
    for (const DirectoryEntry& entry : entries) {
        const std::string path = join_path(directory, entry.name);
        if (entry.is_directory) LITESTREAM_TRY(remove_leftovers(path));
        if (!entry.is_directory && has_suffix(entry.name, ".tmp")) LITESTREAM_TRY(remove_file(path));
    }
    return {};
}

// Older generations are gone with the process that knew which of their segments a replica still lacked;
// what counts from here on is the current one.
Status SegmentStore::load_generation(const std::string& generation) {
    auto generations = list_directory(full(generations_path()));
    if (!generations && generations.error().code == ErrorCode::kNotFound) return {};
    LITESTREAM_TRY(generations);
    for (const DirectoryEntry& entry : *generations) {
        if (is_generation_name(entry.name) && entry.name != generation) {
            LITESTREAM_TRY(remove_directory_tree(full(generation_path(entry.name))));
        }
    }
    {
        const std::lock_guard lock(mutex_);
        history_ = {generation};
        end_ = {generation, 0, 0};
    }
    auto indexes = list_directory(full(wal_path(generation)));
    if (!indexes && indexes.error().code == ErrorCode::kNotFound) return {};
    LITESTREAM_TRY(indexes);
    for (const DirectoryEntry& entry : *indexes) {
        const auto index = parse_index_name(entry.name);
        if (index && entry.is_directory) LITESTREAM_TRY(load_index(generation, *index));
    }
    return {};
}

Status SegmentStore::load_index(const std::string& generation, std::uint64_t index) {
    LITESTREAM_ASSIGN(const auto entries, list_directory(full(index_path(generation, index))));
    std::vector<SegmentRef> found;
    for (const DirectoryEntry& entry : entries) {
        const auto offset = parse_segment_name(entry.name);
        if (!offset || entry.is_directory) continue;
        struct stat status = {};
        const std::string path = join_path(full(index_path(generation, index)), entry.name);
        if (::lstat(path.c_str(), &status) != 0) return system_error(errno, path, "stat");
        // The store of a live replica may have frames from the middle of an index only, behind its header.
        if (!found.empty() && !found.back().is_header()) found.back().end = *offset;
        const std::uint64_t end = *offset == 0 ? kWalHeaderSize : *offset;
        found.push_back(
            {generation, index, *offset, end, on_disk(static_cast<std::uint64_t>(status.st_size)), 0});
    }
    // Where the last one of an index ends, only its trailer tells.
    if (!found.empty()) {
        const std::string path = file_of(found.back());
        LITESTREAM_ASSIGN(const File file, File::open(path, O_RDONLY));
        LITESTREAM_ASSIGN(const auto trailer, read_trailer(file));
        if (trailer) found.back().end = trailer->end_offset;
    }
    const std::lock_guard lock(mutex_);
    for (SegmentRef& segment : found) {
        local_bytes_ += segment.disk_bytes;
        segments_.push_back(std::move(segment));
    }
    return {};
}

Status SegmentStore::load_promises(const std::string& generation) {
    LITESTREAM_ASSIGN(const auto entries, list_directory(path_));
    for (const DirectoryEntry& entry : entries) {
        if (entry.name.rfind(kPromisePrefix, 0) != 0) continue;
        LITESTREAM_ASSIGN(const std::string text, read_small_text(full(entry.name)));
        const auto position = Position::parse(text);
        if (!position || position->generation != generation) continue;
        const std::lock_guard lock(mutex_);
        if (promised_.empty() || promised_.before(*position)) promised_ = *position;
    }
    return {};
}

// All of ours end in a trailer: where one alone lacks it, it lost its end. Another program's never had any,
// neither the last one nor the one before, or lie in a generation without a reason.
Result<bool> SegmentStore::is_another_programs(const std::string& last_file) const {
    std::string before;
    {
        const std::lock_guard lock(mutex_);
        if (reason_.empty()) return true;
        for (const SegmentRef& segment : segments_) {
            const std::string file = segment.is_header() ? std::string() : file_of(segment);
            if (!file.empty() && file != last_file) before = file;
        }
    }
    if (before.empty()) return false;
    LITESTREAM_ASSIGN(const File file, File::open(before, O_RDONLY));
    LITESTREAM_ASSIGN(const auto trailer, read_trailer(file));
    return !trailer;
}

// From the end backwards: the first segment that verifies is where capture left off. What does not verify
// is removed (the WAL still has it, or continuity cannot be proven), so is an index of just a header.
Status SegmentStore::find_tail() {
    while (true) {
        SegmentRef last;
        {
            const std::lock_guard lock(mutex_);
            if (segments_.empty()) return {};
            last = segments_.back();
        }
        if (!last.is_header()) {
            auto trailer = verify_segment(file_of(last));
            const bool damaged = !trailer && trailer.error().code == ErrorCode::kCorrupt;
            if (!trailer && !damaged) return std::move(trailer).error();
            if (trailer && !*trailer) {
                LITESTREAM_ASSIGN(tail_is_foreign_, is_another_programs(file_of(last)));
                if (tail_is_foreign_) return {};
            }
            const bool is_whole = trailer && *trailer && (*trailer)->index == last.index &&
                                  (*trailer)->start_offset == last.start;
            if (is_whole) {
                tail_ = std::move(*trailer);
                const std::lock_guard lock(mutex_);
                segments_.back().end = tail_->end_offset;
                end_ = {last.generation, tail_->index, tail_->end_offset};
                return {};
            }
            damage_ = damage_of(last, trailer);
        }
        remove_segment(last);
        const std::lock_guard lock(mutex_);
        local_bytes_ -= last.disk_bytes;
        segments_.pop_back();
    }
}

}  // namespace litestream
