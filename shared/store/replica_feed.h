// ReplicaFeed: what a live replica receives, from whatever it follows, on its way into the database and into
// the segment store of the replica, from which it may serve others. Nothing goes further before the whole of
// it is verified: lz4, trailer, frame chain, salts, and that it continues what was applied last.
//
// Memory: 16 MiB; what is larger waits in an unlinked temporary file in the meta directory.
//
// Thread-bound: the follower's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "shared/base/stream.h"
#include "shared/format/frame_chain.h"
#include "shared/store/replica_target.h"
#include "shared/store/segment_store.h"
#include "shared/store/staged_bytes.h"

namespace litestream {

class ReplicaFeed {
  public:
    // `store`: opened; its content is dropped where it does not end at the target's state. Both outlive this.
    ReplicaFeed(SegmentStore& store, ReplicaTarget& target) : store_(store), target_(target) {}
    ReplicaFeed(const ReplicaFeed&) = delete;
    ReplicaFeed& operator=(const ReplicaFeed&) = delete;

    Status open();  // once, before the others
    // To follow on from here: everything up to it is in the database. Empty: a snapshot is needed.
    const SourceState& state() const { return state_; }
    const std::string& folder() const { return store_.path(); }  // for temporary files
    // What was received cannot be gone on from: the next thing wanted is a snapshot.
    void forget() { state_ = {}; }

    // A snapshot of ours: lz4 and trailer. `wal_header`: the 32 bytes that begin the WAL of its index, empty
    // where its position has offset 0.
    Status take_snapshot(Source& payload, ByteView wal_header);
    // A database file as it is, `size_bytes` long, that is consistent at `state`.
    Status take_image(Source& pages, std::uint64_t size_bytes, const SourceState& state);
    // A segment as it is stored (with or without trailer; header and frames in one, or the header alone).
    // It may begin before state(): what is there already is passed over. kCorrupt names index and offset: it
    // does not follow, or does not verify; nothing of it was applied then. `time_ms`: of its last commit
    // where no trailer tells, 0: unknown.
    Status take_segment(const std::string& generation, std::uint64_t index, std::uint64_t start_offset,
                        Source& payload, std::int64_t time_ms);

  private:
    struct Segment;
    Status read(Segment& segment, Source& payload);
    Status check_place(const Segment& segment) const;
    bool is_passed(const Segment& segment) const;
    Status check_header(const Segment& segment) const;
    Status check_trailer(const Segment& segment) const;
    Status check_content(Segment& segment) const;
    Status verify(Segment& segment);
    Status each_frame(Segment& segment, const FrameChain::OnFrame& on_frame);
    Status apply(Segment& segment);
    void note_index(const Segment& segment);
    Status keep(Segment& segment);
    Status store(Segment& segment);
    Status apply_staged(const StagedBytes& pages, std::uint32_t page_size, const SourceState& state);
    Status restart_store(const std::string& reason);

    SegmentStore& store_;
    ReplicaTarget& target_;
    SourceState state_;
    Position stored_;  // the end of what the store holds; its WAL header counts
    // Where the index before state_'s ended, if it was seen.
    struct Previous {
        std::uint64_t end;
        WalChecksum chain;
    };
    std::optional<Previous> previous_;
};

}  // namespace litestream
