// Replay: carries out a RestorePlan: the snapshot's pages into the database file, then the frames of each
// segment in order, up to the stop. Proves on the way that every file's content is what its name and trailer
// say: frame chain, commits, ends and checksums. Memory: one frame and one lz4 block.
//
// Where there are no trailers, the change counter in page 1 shows most lost segments: it goes up by one with
// each transaction that writes page 1, so that a larger step from one such frame to the next means that
// something between them is missing.
//
// Thread-bound. After an error what the database file holds is worthless.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "shared/format/frame_chain.h"
#include "shared/replica/database_file.h"
#include "shared/replica/restore_plan.h"

namespace litestream {

class Replay {
  public:
    // Opens the plan's files, the snapshot first, each once the one before has been read.
    using Open = std::function<Result<std::unique_ptr<Source>>(const std::string& name)>;

    Replay(Open open, const RestorePlan& plan, DatabaseFile& database)
        : open_(std::move(open)), plan_(plan), database_(database), end_(plan.snapshot.position()) {}
    Replay(const Replay&) = delete;
    Replay& operator=(const Replay&) = delete;

    // The position that the database file then holds.
    Result<Position> run();

  private:
    Status copy_snapshot();
    Status check_snapshot_size() const;
    Status read(const std::string& name, const std::optional<Trailer>& expected, const Sink& sink);
    Status apply(const SegmentFile& segment);
    Status begin_index(const SegmentFile& segment);
    Status finish_index();
    Status check_content(const Trailer& trailer) const;
    Status take_frame(const FrameChain::Frame& frame);
    Status take_commit(const FrameChain::Frame& frame);
    Status check_snapshot_end(const FrameChain::Frame& frame) const;
    Status check_change_counter(const FrameChain::Frame& frame);
    Position end_of(const FrameChain::Frame& frame) const;
    bool is_past_stop(const FrameChain::Frame& frame) const;
    Result<Position> check_stop() const;

    const Open open_;
    const RestorePlan& plan_;
    DatabaseFile& database_;

    std::optional<FrameChain> chain_;              // of the index being read
    const SegmentFile* segment_ = nullptr;         // being read; then the last one
    std::size_t commits_seen_ = 0;                 // of the segment's trailer
    std::optional<std::uint32_t> change_counter_;  // of the last frame of page 1
    std::uint32_t page_count_ = 0;                 // after the last applied commit; 0: none in this index
    Position end_;                                 // of the last applied commit
    Position after_stop_;                          // the first commit behind the stop
};

}  // namespace litestream
