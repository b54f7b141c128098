#include "shared/store/segment_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "shared/base/log.h"
#include "shared/format/path.h"

namespace litestream {

namespace {

constexpr std::uint64_t kBlock = 4096;

// The list is in order of generation, index and end.
bool is_passed(const SegmentRef& segment, std::uint64_t generation_no, std::uint64_t index,
               std::uint64_t offset) {
    if (segment.generation_no != generation_no) return segment.generation_no < generation_no;
    if (segment.index != index) return segment.index < index;
    return segment.end <= offset;
}

}  // namespace

SegmentStore::SegmentStore(const std::string& database_path) : path_(path_for(database_path)) {}

// What is not there yet is created when it is needed.
Status SegmentStore::check_folder(const std::string& relative) const {
    std::size_t end = 0;
    struct stat status = {};
    while (end != std::string::npos) {
        end = relative.find('/', end + 1);
        const std::string folder = full(relative.substr(0, end));
        if (::lstat(folder.c_str(), &status) != 0) return {};
        if (!S_ISDIR(status.st_mode)) {
            return Error{ErrorCode::kCantOpen, folder + ": is not a directory; move it away"};
        }
    }
    return {};
}

Status SegmentStore::make_folder(const std::string& relative) {
    std::size_t end = 0;
    while (end != std::string::npos) {
        end = relative.find('/', end + 1);
        LITESTREAM_TRY(make_real_directory(full(relative.substr(0, end)), folder_mode_));
    }
    return {};
}

Status SegmentStore::begin_generation(const std::string& generation, const std::string& reason) {
    LITESTREAM_TRY(make_folder(wal_path(generation)));
    LITESTREAM_TRY(write_file_atomically(full(generation_path(generation) + "/reason"),
                                         as_bytes(reason + "\n"), file_mode_));
    LITESTREAM_TRY(write_file_atomically(full("generation"), as_bytes(generation + "\n"), file_mode_));
    tail_.reset();
    tail_is_foreign_ = false;
    const Position start{generation, 0, 0};
    LITESTREAM_TRY(write_position(start));
    {
        const std::lock_guard lock(mutex_);
        generation_ = generation;
        reason_ = reason;
        requested_.reset();  // it was about the one before
        history_.push_back(generation);
        generation_no_ = history_.size() - 1;
        end_ = start;
    }
    publish({}, nullptr);
    return {};
}

Status SegmentStore::begin_index(std::uint64_t index, ByteView wal_header) {
    const std::string generation = this->generation();
    LITESTREAM_TRY(make_folder(index_path(generation, index)));
    // A header left by an attempt that failed behind it says the same bytes or belongs to nothing. It goes
    // once the new one is whole: segments of the index may be there already.
    const std::string path = full(segment_path(generation, index, 0));
    LITESTREAM_ASSIGN(TempFile file, TempFile::create(path, ".tmp", file_mode_));
    PayloadWriter payload([&file](ByteView bytes) { return file.file().write(bytes); });
    LITESTREAM_TRY(payload.write(wal_header));
    LITESTREAM_TRY(payload.finish(nullptr));
    LITESTREAM_TRY(file.publish(Durability::kNone, Replace::kAllowed));
    SegmentRef segment{generation, index, 0, kWalHeaderSize, kBlock, 0};
    const std::lock_guard lock(mutex_);
    segment.generation_no = generation_no_;
    const bool is_repeated = !segments_.empty() && segments_.back().is_header() &&
                             segments_.back().generation_no == generation_no_ &&
                             segments_.back().index == index;
    if (is_repeated) return {};  // an earlier attempt came this far
    local_bytes_ += segment.disk_bytes;
    segments_.push_back(std::move(segment));
    return {};
}

SegmentStore::Draft::Draft(SegmentStore& store, TempFile file)
    : store_(store), file_(std::make_unique<TempFile>(std::move(file))) {
    payload_ = std::make_unique<PayloadWriter>(
        [temp = file_.get()](ByteView bytes) { return temp->file().write(bytes); });
}

Result<SegmentStore::Draft> SegmentStore::draft_segment(std::uint64_t index, std::uint64_t start_offset) {
    LITESTREAM_TRY(open_position_file());  // what is in its way is said before anything is stored
    const std::string path = full(segment_path(generation(), index, start_offset));
    LITESTREAM_ASSIGN(TempFile file, TempFile::create(path, ".tmp", file_mode_));
    return Draft(*this, std::move(file));
}

Status SegmentStore::Draft::publish(Trailer trailer) {
    LITESTREAM_TRY(payload_->finish(&trailer));
    // Nobody but this thread makes segments here: a file of this name is one that find_tail() did not want.
    LITESTREAM_TRY(file_->publish(Durability::kNone, Replace::kAllowed));
    return store_.publish_file(trailer, payload_->size_bytes());
}

Status SegmentStore::publish_file(const Trailer& trailer, std::uint64_t size_bytes) {
    const std::uint64_t disk_bytes = (size_bytes + kBlock - 1) / kBlock * kBlock;
    publish({trailer.generation, trailer.index, trailer.start_offset, trailer.end_offset, disk_bytes, 0},
            &trailer);
    // The position file is information for people and for Litestream: the segment counts without it, and
    // whoever stored it must not store it again.
    const Status noted = write_position({trailer.generation, trailer.index, trailer.start_offset});
    if (!noted) log_line("litestream: " + noted.error().message);
    return {};
}

void SegmentStore::publish(const SegmentRef& segment, const Trailer* trailer) {
    if (trailer != nullptr) tail_ = *trailer;
    {
        const std::lock_guard lock(mutex_);
        if (trailer != nullptr) {
            segments_.push_back(segment);
            segments_.back().generation_no = generation_no_;
            local_bytes_ += segment.disk_bytes;
            end_ = segment.end_position();
        }
    }
    const std::lock_guard notify(notify_mutex_);
    std::vector<Subscriber> subscribers;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [id, subscriber] : subscribers_) subscribers.push_back(subscriber);
    }
    for (const Subscriber& subscriber : subscribers) subscriber();
}

// Always 51 bytes, so that rewriting them in place is one write.
Status SegmentStore::open_position_file() {
    if (position_file_.is_open()) return {};
    LITESTREAM_ASSIGN(position_file_, File::open(full("position"), O_WRONLY | O_CREAT, file_mode_));
    return position_file_.truncate(kPositionTextSize + 1);
}

Status SegmentStore::write_position(const Position& start) {
    LITESTREAM_TRY(open_position_file());
    return position_file_.write_at(0, as_bytes(start.to_string() + "\n"));
}

void SegmentStore::remove_segment(const SegmentRef& segment) {
    ::unlink(file_of(segment).c_str());
    // Succeeds for the last one of an index, of a generation.
    if (::rmdir(full(index_path(segment.generation, segment.index)).c_str()) != 0) return;
    {
        const std::lock_guard lock(mutex_);
        if (segment.generation == generation_) return;
    }
    if (::rmdir(full(wal_path(segment.generation)).c_str()) != 0) return;
    ::unlink(full(generation_path(segment.generation) + "/reason").c_str());
    ::rmdir(full(generation_path(segment.generation)).c_str());
}

bool SegmentStore::is_passed_by_all(const SegmentRef& segment) const {
    return std::all_of(cursors_.begin(), cursors_.end(), [&](const auto& entry) {
        const Position& cursor = entry.second;
        if (cursor.generation == segment.generation) return !cursor.before(segment.end_position());
        return cursor.generation == generation_ && segment.generation_no < generation_no_;
    });
}

bool SegmentStore::may_trim(const SegmentRef& oldest) const {
    if (oldest.generation_no == generation_no_ && oldest.index + 1 >= end_.index) return false;
    if (local_bytes_ > cap_bytes_) return true;
    return local_bytes_ > kLocalTailBytes && is_passed_by_all(oldest);
}

void SegmentStore::trim() {
    while (true) {
        SegmentRef oldest;
        {
            const std::lock_guard lock(mutex_);
            if (segments_.empty() || !may_trim(segments_.front())) return;
            oldest = segments_.front();
            local_bytes_ -= oldest.disk_bytes;
            segments_.pop_front();
            ++first_no_;
        }
        remove_segment(oldest);
    }
}

bool SegmentStore::is_open() const {
    const std::lock_guard lock(mutex_);
    return is_open_;
}

std::string SegmentStore::generation() const {
    const std::lock_guard lock(mutex_);
    return is_open_ ? generation_ : "";  // nobody takes from a list that is half read
}

std::string SegmentStore::generation_reason() const {
    const std::lock_guard lock(mutex_);
    return reason_;
}

Position SegmentStore::end() const {
    const std::lock_guard lock(mutex_);
    return end_;
}

std::uint64_t SegmentStore::local_bytes() const {
    const std::lock_guard lock(mutex_);
    return local_bytes_;
}

std::vector<SegmentRef> SegmentStore::segments_after(const Position& position,
                                                     std::uint64_t limit_bytes) const {
    const std::lock_guard lock(mutex_);
    std::vector<SegmentRef> found;
    const auto known = std::find(history_.begin(), history_.end(), position.generation);
    if (known == history_.end()) return found;
    const auto generation_no = static_cast<std::uint64_t>(known - history_.begin());
    auto next = std::partition_point(segments_.begin(), segments_.end(), [&](const SegmentRef& segment) {
        return is_passed(segment, generation_no, position.index, position.offset);
    });
    std::uint64_t bytes = 0;
    for (; next != segments_.end() && next->generation_no == generation_no; ++next) {
        if (next->is_header()) continue;
        if (!found.empty() && (next->index != found.front().index || bytes >= limit_bytes)) break;
        found.push_back(*next);
        bytes += next->end - next->start;
    }
    return found;
}

bool SegmentStore::has_index_from_start(const std::string& generation, std::uint64_t index) const {
    const std::lock_guard lock(mutex_);
    return std::any_of(segments_.begin(), segments_.end(), [&](const SegmentRef& segment) {
        return segment.is_header() && segment.index == index && segment.generation == generation;
    });
}

std::uint64_t SegmentStore::bytes_after(const Position& position) const {
    const std::lock_guard lock(mutex_);
    std::uint64_t bytes = 0;
    for (auto segment = segments_.rbegin(); segment != segments_.rend(); ++segment) {
        const bool same = segment->generation == position.generation;
        if (same && !position.before(segment->end_position())) break;
        bytes += segment->end - segment->start;
    }
    return bytes;
}

std::vector<std::string> SegmentStore::generations() const {
    const std::lock_guard lock(mutex_);
    return history_;
}

std::string SegmentStore::file_of(const SegmentRef& segment) const {
    return full(segment_path(segment.generation, segment.index, segment.start));
}

std::string SegmentStore::header_file_of(const SegmentRef& segment) const {
    return full(segment_path(segment.generation, segment.index, 0));
}

Status SegmentStore::sync() {
    std::vector<SegmentRef> unsynced;
    std::uint64_t upto = 0;
    {
        const std::lock_guard lock(mutex_);
        const std::uint64_t from = std::max(synced_no_, first_no_) - first_no_;
        unsynced.assign(segments_.begin() + static_cast<std::ptrdiff_t>(from), segments_.end());
        upto = first_no_ + segments_.size();
    }
    std::string folder;
    for (const SegmentRef& segment : unsynced) {
        auto file = File::open(file_of(segment), O_RDONLY);
        if (!file && file.error().code == ErrorCode::kNotFound) continue;  // trimmed meanwhile
        LITESTREAM_TRY(file);
        LITESTREAM_TRY(file->sync());
        const std::string next = index_path(segment.generation, segment.index);
        if (next == folder) continue;
        folder = next;
        LITESTREAM_TRY(sync_directory(full(folder)));
        LITESTREAM_TRY(sync_directory(full(wal_path(segment.generation))));
    }
    const std::lock_guard lock(mutex_);
    synced_no_ = std::max(synced_no_, upto);
    return {};
}

Status SegmentStore::promise(const std::string& replica_name, const Position& position) {
    return write_file_atomically(full(kPromisePrefix + replica_name), as_bytes(position.to_string() + "\n"),
                                 file_mode_);
}

Position SegmentStore::promised() const {
    const std::lock_guard lock(mutex_);
    return promised_;
}

void SegmentStore::set_cursor(const std::string& name, const Position& position) {
    const std::lock_guard lock(mutex_);
    cursors_[name] = position;
}

void SegmentStore::release_cursor(const std::string& name) {
    const std::lock_guard lock(mutex_);
    cursors_.erase(name);
}

void SegmentStore::drop_cursor(const std::string& name) {
    ::unlink(full(kPromisePrefix + name).c_str());
    release_cursor(name);
}

void SegmentStore::set_cap(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    cap_bytes_ = bytes;
}

int SegmentStore::subscribe(Subscriber subscriber) {
    const std::lock_guard lock(mutex_);
    subscribers_[next_subscriber_] = std::move(subscriber);
    return next_subscriber_++;
}

void SegmentStore::unsubscribe(int id) {
    const std::lock_guard notify(notify_mutex_);
    const std::lock_guard lock(mutex_);
    subscribers_.erase(id);
}

}  // namespace litestream
