// RecordFollower: the conversation with a server that sends the records of e6f7c60
// (shared/format/stream_record.h). It says nothing of its own, never tells where it is, and sends an index
// from its beginning again whenever a client comes back.
//
//   follows --snapshot--> torn --[the next index begins | a second of silence, and the check passes]-->
//   follows
//
// An idle server of that kind keeps the frames of the snapshot's index back until the next commit. A snapshot
// that was shown after silence without any of them stays torn for that reason: it may hold what those frames
// are about to bring, and only all of them together, over the same copy, are a state that the primary had.
//
// Thread-bound: the follower's thread.
#pragma once

#include <optional>

#include "shared/format/stream_record.h"
#include "shared/stream/stream_context.h"
#include "shared/stream/torn_snapshot.h"

namespace litestream {

class RecordFollower {
  public:
    explicit RecordFollower(StreamContext& context);
    // Until the connection ends; why.
    Error run();

  private:
    Result<std::optional<StreamRecord>> next_record();
    Status take(const StreamRecord& record);
    Status take_snapshot(const StreamRecord& record);
    Status take_segment(const StreamRecord& record);
    Status feed_segment(const StreamRecord& record);
    Status collect_segment(const StreamRecord& record);
    Status take_silence();
    Status finish_torn(const Position& next);
    Status check();
    Status show();
    bool holds_back() const { return torn_ && has_news_; }
    bool awaits_silence() const { return holds_back() || owes_rest_; }

    StreamContext& context_;
    StreamInput input_;
    std::optional<TornSnapshot> torn_;
    bool has_news_ = false;      // the torn one holds what is not shown
    bool is_unchecked_ = false;  // and it changed since it was last found wanting
    bool owes_rest_ = false;     // the replica moved, and no silence was told since
    int settles_ = 0;
    Error last_check_;
};

}  // namespace litestream
