// How capture reads one segment's worth of frames from the WAL and frames them anew where SQLite left them
// without checksums.
#include <algorithm>

#include "shared/base/clock.h"
#include "vfs/capture.h"

namespace litestream {

namespace {

constexpr std::uint64_t kSegmentBytes = 16u << 20;  // a segment ends with the first commit past this
constexpr std::size_t kReadBytes = 1u << 20;

}  // namespace

// The segment in the making. Nothing of it counts before the wal-index has confirmed that the frames read
// were those of this life.
struct Capture::Copy {
    const WalIndexHeader& header;
    SegmentStore::Draft draft;
    std::uint32_t next_frame;
    WalChecksum chain;
    WalChecksum source_chain;
    std::uint32_t page_count = 0;
    bool ends_at_commit = false;
    bool is_reframed = false;
    std::vector<Commit> commits = {};

    bool is_full(std::uint32_t first_frame) const {
        return ends_at_commit && wal_size(next_frame - first_frame, header.page_size) > kSegmentBytes;
    }
};

Result<Capture::Progress> Capture::copy_segment(const WalIndexHeader& header) {
    LITESTREAM_ASSIGN(SegmentStore::Draft draft,
                      database_.store().draft_segment(life_.end.index, life_.end.offset));
    Copy copy{header, std::move(draft), life_.frames + 1, life_.chain, source_chain_};
    const Status copied = copy_frames(copy);
    if (!still_in_life(header.salts)) return Progress::kAgain;
    LITESTREAM_TRY(copied);
    if (!copy.ends_at_commit) {
        return corrupt(database_.wal_path() + ": the wal-index ends at frame " +
                       std::to_string(copy.next_frame - 1) + ", which is no commit");
    }
    Trailer trailer = trailer_for(copy);
    const Position end = trailer.end();
    LITESTREAM_TRY(copy.draft.publish(std::move(trailer)));
    life_.end = end;
    life_.frames = copy.next_frame - 1;
    life_.chain = copy.chain;
    life_.is_reframed = life_.is_reframed || copy.is_reframed;
    source_chain_ = copy.source_chain;
    return Progress::kDone;
}

Status Capture::copy_frames(Copy& copy) {
    const std::uint32_t first_frame = copy.next_frame;
    const std::size_t frame_size = kFrameHeaderSize + copy.header.page_size;
    Bytes buffer;
    while (copy.next_frame <= copy.header.frame_count && !copy.is_full(first_frame)) {
        const std::size_t left = copy.header.frame_count - copy.next_frame + 1;
        const std::size_t count = std::min(left, std::max<std::size_t>(kReadBytes / frame_size, 1));
        buffer.resize(count * frame_size);
        LITESTREAM_TRY(wal_.read_frames(copy.next_frame, copy.header.page_size, buffer));
        std::size_t taken = 0;
        while (taken < count && !copy.is_full(first_frame)) {
            LITESTREAM_TRY(copy_frame(copy, buffer.data() + taken++ * frame_size));
        }
        LITESTREAM_TRY(copy.draft.write(ByteView(buffer).first(taken * frame_size)));
    }
    return {};
}

// Verifies the frame in place, or frames it anew: the wal-index vouches for it.
Status Capture::copy_frame(Copy& copy, std::uint8_t* frame) {
    FrameHeader header = FrameHeader::decode(frame);
    const ByteView page(frame + kFrameHeaderSize, copy.header.page_size);
    const WalChecksum chain = frame_checksum(copy.chain, frame, page, word_order_);
    copy.source_chain = header.checksum;
    copy.chain = chain;
    if (header.page_no == 0) {
        return corrupt(database_.wal_path() + ": frame " + std::to_string(copy.next_frame) +
                       " has page number 0");
    }
    if (header.salts != copy.header.salts || header.checksum != chain) {
        copy.is_reframed = true;
        header.salts = copy.header.salts;
        header.checksum = chain;
        header.encode(frame);
    }
    ++copy.next_frame;
    copy.ends_at_commit = header.is_commit();
    if (!header.is_commit()) return {};
    copy.page_count = header.commit_pages;
    last_commit_ms_ = std::max(last_commit_ms_, wall_clock_ms());
    copy.commits.push_back({wal_size(copy.next_frame - 1, copy.header.page_size), last_commit_ms_});
    return {};
}

Trailer Capture::trailer_for(const Copy& copy) const {
    Trailer trailer;
    trailer.kind = Trailer::Kind::kSegment;
    trailer.generation = life_.end.generation;
    trailer.predecessor = life_.predecessor;
    trailer.index = life_.end.index;
    trailer.start_offset = life_.end.offset;
    trailer.end_offset = copy.commits.back().end_offset;
    trailer.previous_end = life_.previous_end;
    trailer.previous_checksum = life_.previous_checksum;
    trailer.end_checksum = copy.chain;
    trailer.source_checksum = copy.source_chain;
    trailer.salts = life_.salts;
    trailer.page_size = life_.page_size;
    trailer.page_count = copy.page_count;
    trailer.commits = copy.commits;
    return trailer;
}

}  // namespace litestream
