#include "shared/replica/continuity.h"

#include <fcntl.h>

#include <algorithm>

#include "shared/base/text.h"
#include "shared/format/segment.h"
#include "shared/format/wal.h"

namespace litestream {
namespace {

using Segments = std::vector<SegmentInfo>;

Result<Trailer> trailer_of(ReplicaClient& client, const SegmentInfo& segment) {
    LITESTREAM_ASSIGN(const auto trailer, client.trailer(segment.name));
    const bool fits = trailer && trailer->generation == segment.generation && trailer->index == segment.index;
    if (!fits) return corrupt(client.url() + "/" + segment.name + ": is not a segment of this database's");
    return *trailer;
}

// The first segment of the last index.
Segments::const_iterator last_index_begin(const Segments& segments) {
    return std::find_if(segments.begin(), segments.end(),
                        [&](const SegmentInfo& segment) { return segment.index == segments.back().index; });
}

// Every index from `first` to the last one is there and begins at 0.
bool has_indexes_from(std::uint64_t first, const Segments& segments) {
    std::uint64_t expected = first;
    for (const SegmentInfo& segment : segments) {
        if (segment.index < first || (segment.index + 1 == expected && segment.offset > 0)) continue;
        if (segment.index != expected || segment.offset != 0) return false;
        ++expected;
    }
    return expected > first;
}

// The last index says that the one before it ended where its segments end.
Result<bool> has_last_link(ReplicaClient& client, const Segments& segments) {
    const auto begin = last_index_begin(segments);
    if (begin == segments.begin()) return false;
    LITESTREAM_ASSIGN(const Trailer next, trailer_of(client, *begin));
    LITESTREAM_ASSIGN(const Trailer before, trailer_of(client, *(begin - 1)));
    return next.previous_end == before.end_offset && next.previous_checksum == before.end_checksum;
}

Result<bool> is_restorable(ReplicaClient& client, const SnapshotInfo& snapshot, const Segments& segments) {
    if (!has_indexes_from(snapshot.index, segments)) return false;
    if (segments.back().index == snapshot.index) return true;
    return has_last_link(client, segments);
}

// Where the first segment of an index says that the one before it ended, and how. Behind what the replica has
// is a gap, no fork.
bool ends_elsewhere(const SegmentStore& store, const SegmentRef& first, const Trailer& held) {
    const auto file = File::open(store.file_of(first), O_RDONLY);
    const auto trailer = file ? read_trailer(*file) : Result<std::optional<Trailer>>(file.error());
    if (!trailer || !*trailer || (*trailer)->previous_end == 0) return false;
    if ((*trailer)->previous_end != held.end_offset) return (*trailer)->previous_end < held.end_offset;
    return (*trailer)->previous_checksum != held.end_checksum;
}

// The stored checksum of the frame that ends at `end`, within a local segment.
Result<Bytes> checksum_before(const SegmentStore& store, const SegmentRef& segment, std::uint64_t end,
                              std::uint32_t page_size) {
    constexpr std::uint64_t kChecksumSize = 8;
    const std::uint64_t from = end - page_size - kChecksumSize - segment.start;
    LITESTREAM_ASSIGN(File file, File::open(store.file_of(segment), O_RDONLY));
    FileSource source(std::move(file));
    Bytes found;
    std::uint64_t at = 0;
    LITESTREAM_TRY(read_payload(source, [&](ByteView bytes) -> Status {
        const std::uint64_t first = std::max(at, from);
        const std::uint64_t last = std::min(at + bytes.size(), from + kChecksumSize);
        for (std::uint64_t i = first; i < last; ++i) found.push_back(bytes[i - at]);
        at += bytes.size();
        return {};
    }));
    return found;
}

}  // namespace

Result<Held> held_of(ReplicaClient& client, const std::string& generation) {
    LITESTREAM_ASSIGN(const auto snapshots, client.snapshots(generation));
    LITESTREAM_ASSIGN(const auto segments, client.segments(generation));
    Held held;
    held.end = {generation, 0, 0};
    Position taken;
    if (!snapshots.empty()) {
        held.snapshot = snapshots.back();
        LITESTREAM_ASSIGN(const auto trailer, client.trailer(held.snapshot->name));
        if (trailer) {
            taken = trailer->end();
            held.snapshot->created_ms = trailer->commits.back().time_ms;
        }
    }
    if (segments.empty()) {
        held.is_restorable = taken == held.end;  // taken before the first commit
        return held;
    }
    LITESTREAM_ASSIGN(const Trailer last, trailer_of(client, segments.back()));
    held.end = last.end();
    held.last = last;
    if (last_index_begin(segments)->offset != 0) held.first_free_index = last.index + 1;
    if (held.snapshot) {
        LITESTREAM_ASSIGN(held.is_restorable, is_restorable(client, *held.snapshot, segments));
    }
    return held;
}

std::string find_fork(const SegmentStore& store, const Held& held) {
    if (!held.last) return "";
    const Position& end = held.end;
    const std::string fork = "the replica has commits up to " + end.to_string() +
                             " that are not of this database: it was set back to an earlier state, or a "
                             "copy of it replicates there";
    if (store.end().generation == end.generation && store.end().before(end)) return fork;
    const auto local = store.segments_after({end.generation, end.index, end.offset - 1}, 1);
    if (local.empty()) return "";
    const SegmentRef& first = local.front();
    if (first.index == end.index + 1) return ends_elsewhere(store, first, *held.last) ? fork : "";
    if (first.index != end.index || first.start >= end.offset) return "";  // trimmed
    if (end.offset - first.start < kFrameHeaderSize + held.last->page_size) return fork;
    const auto checksum = checksum_before(store, first, end.offset, held.last->page_size);
    if (!checksum) return "";  // damaged: whoever uploads it says how
    Bytes stored(8);
    store_be32(stored.data(), held.last->end_checksum.s0);
    store_be32(stored.data() + 4, held.last->end_checksum.s1);
    return *checksum == stored ? "" : fork;
}

Result<std::string> find_gap(const SegmentStore& store, const Position& at, const SegmentRef& first) {
    const std::string gap = "the local segments behind " + at.to_string() + " are gone";
    const bool same_index = first.index == at.index;
    if (same_index && at.offset > 0) return first.start <= at.offset ? std::string() : gap;
    const bool is_next = same_index || (at.offset > 0 && first.index == at.index + 1);
    const bool is_whole =
        first.start <= kWalHeaderSize && store.has_index_from_start(first.generation, first.index);
    if (!is_next || !is_whole) return gap;
    if (same_index) return std::string();
    LITESTREAM_ASSIGN(const File file, File::open(store.file_of(first), O_RDONLY));
    LITESTREAM_ASSIGN(const auto trailer, read_trailer(file));
    // One without is damaged: whoever reads all of it says how.
    return !trailer || trailer->previous_end == at.offset ? std::string() : gap;
}

}  // namespace litestream
