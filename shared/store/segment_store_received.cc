// The store of a live replica: it begins where a snapshot was applied, and takes segments as they were
// received.
#include <utility>

#include "shared/base/machine.h"
#include "shared/format/path.h"
#include "shared/store/segment_store.h"

namespace litestream {

void SegmentStore::drop_all() {
    std::deque<SegmentRef> dropped;
    {
        const std::lock_guard lock(mutex_);
        dropped = std::exchange(segments_, {});
        first_no_ += dropped.size();
        local_bytes_ = 0;
        history_.clear();
        generation_.clear();
    }
    for (const SegmentRef& segment : dropped) remove_segment(segment);
}

Status SegmentStore::begin_generation_at(const Position& position, ByteView wal_header,
                                         const std::string& reason) {
    drop_all();
    LITESTREAM_TRY(begin_generation(position.generation, reason));
    if (position.offset > 0) LITESTREAM_TRY(begin_index(position.index, wal_header));
    {
        const std::lock_guard lock(mutex_);
        end_ = position;
    }
    publish({}, nullptr);
    return write_position(position);
}

Status SegmentStore::store_received(const StagedBytes& segment, const Trailer& trailer) {
    const std::string path = full(segment_path(trailer.generation, trailer.index, trailer.start_offset));
    LITESTREAM_ASSIGN(TempFile file, TempFile::create(path, ".tmp", file_mode_));
    LITESTREAM_TRY(segment.read([&file](ByteView bytes) { return file.file().write(bytes); }));
    LITESTREAM_TRY(file.publish(Durability::kNone, Replace::kAllowed));
    return publish_file(trailer, segment.size_bytes());
}

Status SegmentStore::note_streamed() {
    const std::string note = generation() + " " + boot_id() + "\n";
    const std::string path = full("streamed");
    const auto known = read_file(path, 4096);
    if (known && as_text(*known) == note) return {};
    return write_file_atomically(path, as_bytes(note), file_mode_);
}

bool SegmentStore::was_streamed_before_boot() const {
    const auto known = read_file(full("streamed"), 4096);
    if (!known) return false;
    const std::string_view text = as_text(*known);
    return text.starts_with(generation() + " ") && text != generation() + " " + boot_id() + "\n";
}

}  // namespace litestream
