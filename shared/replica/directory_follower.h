// DirectoryFollower: follows a replica in a directory (or any ReplicaClient) as a live replica does a server:
// a look lists what is new behind the feed's state and hands it on. Needs replicas of ours or of e6f7c60.
//
// Thread-bound: the follower's thread.
#pragma once

#include <functional>
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
        : client_(client), feed_(feed), check_(std::move(check)) {}
    // Everything that is there now. True: the replica moved. A gap (retention took what is next, or a new
    // generation has begun): the newest snapshot. kNotFound: nothing is there yet.
    Result<bool> look();

  private:
    Status choose(const std::vector<std::string>& names);
    Status follow();
    Status start_over(Error gap);
    Result<bool> is_behind(const std::vector<SegmentInfo>& segments, std::size_t at);
    Status take(const SegmentInfo& segment);
    Status take_snapshot(const Generation& generation);
    Status take_restored(const Generation& generation);
    Result<SourceState> state_at(const Position& position) const;

    ReplicaClient& client_;
    ReplicaFeed& feed_;
    const Check check_;
    std::vector<std::string> names_;  // of generations among which the state's is the right one
    std::string last_taken_;          // a segment that needs no second look
};

}  // namespace litestream
