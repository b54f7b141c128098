// A live replica that follows the files of another replica: what a look finds, and when it starts over.
#include "shared/replica/directory_follower.h"

#include <doctest/doctest.h>

#include <memory>

#include "shared/format/path.h"
#include "tests/replica/followed.h"
#include "tests/replica/primary.h"
#include "tests/replica/replica_files.h"

using namespace litestream;

namespace {

const std::string kFirst = "00000000000000aa";
const std::string kSecond = "00000000000000bb";
constexpr std::uint32_t kPageSize = 512;
using Trailers = ReplicaBuilder::Trailers;

struct Follower : Followed {
    ReplicaFiles files;
    std::vector<std::string> opened;  // names, in order
    WatchedClient client{files.client(), [this](const std::string& what, const std::string& name) {
                             if (what == "open") opened.push_back(name);
                             return Status();
                         }};

    Follower() { open(); }
    ~Follower() { follower.reset(); }
    void open() { Followed::open(client); }
    ReplicaBuilder builder(const std::string& generation, Trailers trailers = Trailers::kYes,
                           const std::string& predecessor = {}) {
        return {files.client(), generation, kPageSize, trailers, predecessor};
    }
};

}  // namespace

TEST_CASE("an empty directory is not found, a later look follows what came") {
    Follower follower;
    const auto nothing = follower.follower->look();
    REQUIRE(!nothing);
    CHECK(nothing.error().code == ErrorCode::kNotFound);
    ReplicaBuilder replica = follower.builder(kFirst);

    replica.publish_snapshot();
    CHECK(follower.moves());
    CHECK(follower.shows(replica));
    commit_and_publish(replica, 1);
    CHECK(follower.moves());
    CHECK(follower.shows(replica));
    CHECK(!follower.moves());
}

TEST_CASE("a generation without a snapshot is not found yet") {
    Follower follower;
    ReplicaBuilder replica = follower.builder(kFirst);
    commit_and_publish(replica, 1);

    const auto looked = follower.follower->look();

    REQUIRE(!looked);
    CHECK(looked.error().code == ErrorCode::kNotFound);
}

TEST_CASE("a look goes on from a snapshot in mid index over index after index") {
    Follower follower;
    ReplicaBuilder replica = follower.builder(kFirst);
    commit_and_publish(replica, 1);
    replica.publish_snapshot();
    CHECK(follower.moves());
    CHECK(follower.shows(replica));

    commit_and_publish(replica, 2);
    replica.next_index();
    commit_and_publish(replica, 3);
    replica.commit({{3, 4}});
    replica.next_index();
    commit_and_publish(replica, 5);

    CHECK(follower.moves());
    CHECK(follower.shows(replica));
    CHECK(follower.target.images == 1);
    CHECK(follower.local.end() == replica.position());
}

TEST_CASE("a look that finds nothing new opens no file") {
    Follower follower;
    ReplicaBuilder replica = follower.builder(kFirst);
    replica.publish_snapshot();
    commit_and_publish(replica, 1);
    CHECK(follower.moves());
    follower.opened.clear();

    CHECK(!follower.moves());
    follower.open();
    CHECK(!follower.moves());

    CHECK(follower.opened.empty());
}

TEST_CASE("where retention took what is next the newest snapshot is taken") {
    Follower follower;
    ReplicaBuilder replica = follower.builder(kFirst);
    replica.publish_snapshot();
    CHECK(follower.moves());
    commit_and_publish(replica, 1);
    replica.next_index();
    commit_and_publish(replica, 2);
    replica.publish_snapshot();
    commit_and_publish(replica, 3);
    follower.files.remove(segment_path(kFirst, 0, 0));

    CHECK(follower.moves());

    CHECK(follower.shows(replica));
    CHECK(follower.target.images == 2);
}

TEST_CASE("where no snapshot heals a gap it is an error that names the place") {
    Follower follower;
    ReplicaBuilder replica = follower.builder(kFirst);
    replica.publish_snapshot();
    CHECK(follower.moves());
    commit_and_publish(replica, 1);
    replica.next_index();
    commit_and_publish(replica, 2);
    follower.files.remove(segment_path(kFirst, 0, 0));
    const Bytes before = follower.target.database;

    const auto looked = follower.follower->look();

    REQUIRE(!looked);
    CHECK(looked.error().code == ErrorCode::kCorrupt);
    CHECK(looked.error().message.find(Position{kFirst, 1, 0}.to_string()) != std::string::npos);
    CHECK(follower.target.database == before);
}

TEST_CASE("a new generation is gone over to once it has a snapshot") {
    Follower follower;
    ReplicaBuilder first = follower.builder(kFirst);
    first.publish_snapshot();
    commit_and_publish(first, 1);
    CHECK(follower.moves());
    ReplicaBuilder second = follower.builder(kSecond, Trailers::kYes, kFirst);
    commit_and_publish(second, 9);

    CHECK(!follower.moves());
    CHECK(follower.shows(first));
    second.publish_snapshot();
    CHECK(follower.moves());

    CHECK(follower.shows(second));
    CHECK(follower.local.generations() == std::vector<std::string>{kSecond});
}

TEST_CASE("a new generation that had no file yet when it was seen first is gone over to") {
    Follower follower;
    ReplicaBuilder first = follower.builder(kFirst);
    first.publish_snapshot();
    CHECK(follower.moves());
    const std::string folder = Url::parse(follower.files.url())->path + "/" + generation_path(kSecond);
    REQUIRE(make_directories(folder, 0700));
    CHECK(!follower.moves());

    ReplicaBuilder second = follower.builder(kSecond, Trailers::kYes, kFirst);
    second.publish_snapshot();
    commit_and_publish(second, 9);
    CHECK(follower.moves());

    CHECK(follower.shows(second));
}

TEST_CASE("a snapshot that does not know its checksum is restored to the end") {
    Follower follower;
    ReplicaBuilder replica = follower.builder(kFirst);
    commit_and_publish(replica, 1);
    replica.publish_snapshot(ReplicaBuilder::Checksum::kUnknown);

    CHECK(follower.moves());
    CHECK(follower.shows(replica));
    commit_and_publish(replica, 2);
    CHECK(follower.moves());
    CHECK(follower.shows(replica));
}

TEST_CASE("a replica without trailers is restored, then followed") {
    Follower follower;
    ReplicaBuilder replica = follower.builder(kFirst, Trailers::kNo);
    replica.publish_snapshot();
    commit_and_publish(replica, 1);
    CHECK(follower.moves());
    CHECK(follower.shows(replica));

    commit_and_publish(replica, 2);
    replica.next_index();
    commit_and_publish(replica, 3);

    CHECK(follower.moves());
    CHECK(follower.shows(replica));
    CHECK(!follower.moves());
    CHECK(follower.local.end() == replica.position());
}

TEST_CASE("a replica without trailers is followed only if the check says so") {
    Follower follower;
    ReplicaBuilder replica = follower.builder(kFirst, Trailers::kNo);
    replica.publish_snapshot();
    commit_and_publish(replica, 1);
    DirectoryFollower checked(follower.client, *follower.feed, [](const std::string&, bool needed) {
        return needed ? Status(corrupt("not in good order")) : Status();
    });

    const auto looked = checked.look();

    REQUIRE(!looked);
    CHECK(looked.error().message.find("not in good order") != std::string::npos);
    CHECK(follower.target.images == 0);
    CHECK(list_directory(follower.local.path())->empty());
}
