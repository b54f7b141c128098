// Followed: a replica's files as a live replica follows them, look by look, and what it shows. Whoever has
// the client destroys the follower first. Thread-bound.
#pragma once

#include <doctest/doctest.h>

#include <memory>

#include "shared/replica/directory_follower.h"
#include "tests/support/fake_target.h"
#include "tests/support/replica_builder.h"
#include "tests/support/temp_directory.h"

namespace litestream {

struct Followed {
    TempDirectory directory;
    SegmentStore local{directory.path("app.db")};
    FakeTarget target;
    std::unique_ptr<ReplicaFeed> feed;
    std::unique_ptr<DirectoryFollower> follower;

    // As a process that starts does, with what is there of an earlier one.
    void open(ReplicaClient& client) {
        REQUIRE(local.open(0600));
        feed = std::make_unique<ReplicaFeed>(local, target);
        REQUIRE(feed->open());
        follower = std::make_unique<DirectoryFollower>(client, *feed);
    }
    bool moves() {
        const auto moved = follower->look();
        REQUIRE_MESSAGE(moved, moved.error().message);
        return *moved;
    }
    bool shows(const ReplicaBuilder& replica) const {
        return target.shown.position == replica.position() && feed->state() == target.shown &&
               target.database == replica.last().database;
    }
};

inline void commit_and_publish(ReplicaBuilder& replica, std::uint8_t fill) {
    replica.commit({{1, 0}, {2, fill}});
    replica.publish_segment();
}

}  // namespace litestream
