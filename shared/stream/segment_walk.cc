#include "shared/stream/segment_walk.h"

#include <fcntl.h>

#include <utility>

#include "shared/format/stream_record.h"

namespace litestream {
namespace {

constexpr std::uint64_t kLookAheadBytes = 1u << 20;

Error gone(const Position& position) {
    return {ErrorCode::kNotFound, "what follows " + position.to_string() + " is not kept here any more"};
}

Error damaged(const File& file) { return corrupt(file.path() + ": is damaged"); }

Result<std::uint64_t> size_of(const File& file) {
    LITESTREAM_ASSIGN(const struct stat status, file.status());
    if (!S_ISREG(status.st_mode) || status.st_size <= 0) return damaged(file);
    const auto size_bytes = static_cast<std::uint64_t>(status.st_size);
    if (size_bytes > kMaxSegmentPayload) return damaged(file);
    return size_bytes;
}

bool belongs_to(const Trailer& trailer, const SegmentRef& segment) {
    return trailer.kind == Trailer::Kind::kSegment && trailer.generation == segment.generation &&
           trailer.index == segment.index && trailer.start_offset == segment.start &&
           trailer.end_offset == segment.end;
}

}  // namespace

Result<std::optional<SegmentWalk::Item>> SegmentWalk::next() {
    if (ahead_.empty()) {
        const auto found = store_.segments_after(position_, kLookAheadBytes);
        ahead_.assign(found.begin(), found.end());
    }
    if (ahead_.empty()) return std::optional<Item>();
    const SegmentRef& segment = ahead_.front();
    const bool begins_index = segment.index != position_.index || position_.offset < kWalHeaderSize;
    auto item = begins_index ? open_header(segment) : open_segment(segment);
    if (!item) {
        ahead_.clear();
        return std::move(item).error();
    }
    if (!begins_index) ahead_.pop_front();
    position_ = item->end;
    return std::optional<Item>(*std::move(item));
}

Result<SegmentWalk::Item> SegmentWalk::open_segment(const SegmentRef& segment) const {
    auto file = File::open(store_.file_of(segment), O_RDONLY);
    if (!file && file.error().code == ErrorCode::kNotFound) return gone(position_);
    LITESTREAM_TRY(file);
    LITESTREAM_ASSIGN(const std::uint64_t size_bytes, size_of(*file));
    LITESTREAM_ASSIGN(const auto trailer, read_trailer(*file));
    if (!trailer || !belongs_to(*trailer, segment)) return damaged(*file);
    LITESTREAM_TRY(check_continues(segment, trailer->previous_end));
    const Position start{segment.generation, segment.index, segment.start};
    return Item{start, segment.end_position(), *std::move(file), size_bytes, trailer->commits.back().time_ms};
}

// Of the index that `segment` is the first of.
Result<SegmentWalk::Item> SegmentWalk::open_header(const SegmentRef& segment) const {
    LITESTREAM_TRY(open_segment(segment));
    auto file = File::open(store_.header_file_of(segment), O_RDONLY);
    if (!file && file.error().code == ErrorCode::kNotFound) return gone(position_);
    LITESTREAM_TRY(file);
    LITESTREAM_ASSIGN(const std::uint64_t size_bytes, size_of(*file));
    const Position start{segment.generation, segment.index, 0};
    const Position end{segment.generation, segment.index, kWalHeaderSize};
    return Item{start, end, *std::move(file), size_bytes, 0};
}

// The store lists what it has: what lies between the position and its first entry may be trimmed. Where an
// index ended only the next one knows.
Status SegmentWalk::check_continues(const SegmentRef& segment, std::uint64_t previous_end) const {
    const bool is_first = segment.start == kWalHeaderSize;
    bool continues = false;
    if (segment.index == position_.index) {
        continues = segment.start <= position_.offset || (is_first && position_.offset == 0);
    } else {
        continues = segment.index == position_.index + 1 && is_first && previous_end == position_.offset;
    }
    return continues ? Status() : gone(position_);
}

bool can_resume(SegmentStore& store, const Position& position) {
    if (position.empty()) return false;
    const Position end = store.end();
    if (end.generation == position.generation) {
        if (end.before(position)) return false;
        if (end == position) return true;
    }
    const auto next = SegmentWalk(store, position).next();
    return next && next->has_value();
}

}  // namespace litestream
