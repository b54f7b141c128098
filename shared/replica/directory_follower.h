// DirectoryFollower: follows a replica in a directory or a bucket (any ReplicaClient) as a live replica does
// a server: a look lists what is new behind the feed's state and hands it on. Needs replicas of ours or of
// e6f7c60.
//
// Where a store bills, a look that finds nothing is one request: whether the object is there whose name says
// that it is the next one, which is cheap; every fourth time a listing instead of what stands behind the last
// segment, which finds a new index too, and every sixteenth time one of the generations. After a look that
// moved it is the listing: more is likely there.
//
// Thread-bound: the follower's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shared/replica/generation.h"
#include "shared/replica/replica_client.h"
#include "shared/store/replica_feed.h"

namespace litestream {

class DirectoryFollower {
  public:
    // Of a restored database before it is shown, as in RestoreOptions.
    using Check = std::function<Status(const std::string& path, bool needed)>;

    DirectoryFollower(ReplicaClient& client, ReplicaFeed& feed, Check check = nullptr)
        : client_(client),
          feed_(feed),
          check_(std::move(check)),
          is_billed_(!client.request_counts().empty()) {}
    // Everything that is there now. True: the replica moved. A gap (retention took what is next, or a new
    // generation has begun): the newest snapshot. kNotFound: nothing is there yet.
    Result<bool> look();

  private:
    enum class Question { kEverything, kGenerations, kSegments, kNextSegment };

    Question question() const;
    Result<bool> ask(Question question);
    Result<bool> ask_for_generations();
    Result<bool> ask_for_next() const;
    bool is_only_one(const std::vector<std::string>& names) const;
    Status choose(const std::vector<std::string>& names);
    Status follow();
    Position listed_from() const;
    Status start_over(Error gap);
    Result<bool> is_behind(const std::vector<SegmentInfo>& segments, std::size_t at);
    Status take(const SegmentInfo& segment);
    Status take_snapshot(const Generation& generation);
    Status take_restored(const Generation& generation);
    Result<SourceState> state_at(const Position& position) const;

    ReplicaClient& client_;
    ReplicaFeed& feed_;
    const Check check_;
    const bool is_billed_;
    bool has_looked_ = false;                // at the generations
    std::uint64_t quiet_looks_ = 0;          // since the last one that moved
    std::vector<std::string> names_;         // of generations among which the state's is the right one
    std::optional<SegmentInfo> last_taken_;  // a segment that needs no second look
};

}  // namespace litestream
