// A live replica that follows a bucket: what a look asks the store for, and what it finds by that.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "shared/format/path.h"
#include "tests/replica/fake_store.h"
#include "tests/replica/followed.h"

using namespace litestream;

namespace {

const std::string kFirst = "00000000000000aa";
const std::string kSecond = "00000000000000bb";
constexpr std::uint32_t kPageSize = 512;
constexpr int kRound = 16;  // quiet looks, after which they begin anew

struct Bucket : Followed {
    FakeStore store;
    std::unique_ptr<S3ReplicaClient> writer = store.client(whole());
    std::unique_ptr<S3ReplicaClient> reader = store.client(whole());

    Bucket() { open(); }
    ~Bucket() { follower.reset(); }
    // One request for an object.
    static S3Options whole() {
        S3Options options = FakeStore::quick();
        options.part_size = options.first_range_size = options.range_size = 1u << 20;
        return options;
    }
    void open() { Followed::open(*reader); }
    ReplicaBuilder builder(const std::string& generation, const std::string& predecessor = {}) {
        return {*writer, generation, kPageSize, ReplicaBuilder::Trailers::kYes, predecessor};
    }
    // What the store was asked for by a look that moves or does not.
    std::vector<std::string> look(bool expected) {
        const auto seen = store.requests().size();
        CHECK(moves() == expected);
        const auto all = store.requests();
        return {all.begin() + static_cast<std::ptrdiff_t>(seen), all.end()};
    }
    void look_quietly(int times) {
        for (int i = 0; i < times; ++i) CHECK(!moves());
    }
    // 0: none of the first sixteen did.
    int looks_until_moved() {
        for (int looks = 1; looks <= kRound; ++looks) {
            if (moves()) return looks;
        }
        return 0;
    }
};

bool is_list(const std::string& request) { return request.find("list-type") != std::string::npos; }

int count_of(const std::vector<std::string>& requests, bool (*kind)(const std::string&)) {
    return static_cast<int>(std::count_if(requests.begin(), requests.end(), kind));
}

bool is_list_of_generations(const std::string& request) {
    return is_list(request) && request.find("delimiter") != std::string::npos;
}

}  // namespace

TEST_CASE("a quiet look is one request, and few of them are listings") {
    Bucket bucket;
    ReplicaBuilder replica = bucket.builder(kFirst);
    replica.publish_snapshot();
    commit_and_publish(replica, 1);
    CHECK(bucket.moves());
    std::vector<std::string> all;

    for (int i = 0; i < 2 * kRound; ++i) {
        const auto requests = bucket.look(false);
        CHECK(requests.size() == 1);
        all.insert(all.end(), requests.begin(), requests.end());
    }

    CHECK(bucket.shows(replica));
    CHECK(count_of(all, is_list_of_generations) == 1);
    CHECK(count_of(all, is_list) == 8);
    CHECK(bucket.reader->request_counts()["PUT"] == 0);
}

TEST_CASE("a listing begins where the last one ended, however many segments are before") {
    Bucket bucket;
    bucket.store.page_size = 3;
    ReplicaBuilder replica = bucket.builder(kFirst);
    replica.publish_snapshot();
    for (std::uint8_t fill = 1; fill <= 20; ++fill) commit_and_publish(replica, fill);
    CHECK(bucket.moves());
    CHECK(bucket.shows(replica));

    const auto quiet = bucket.look(false);
    commit_and_publish(replica, 21);
    const auto moving = bucket.look(true);

    CHECK(quiet.size() == 1);
    CHECK(count_of(quiet, is_list) == 1);
    CHECK(moving.size() == 3);  // it is there; the listing; the segment
    CHECK(bucket.shows(replica));
}

TEST_CASE("a commit is found by the next look, whatever that one asks for") {
    Bucket bucket;
    ReplicaBuilder replica = bucket.builder(kFirst);
    replica.publish_snapshot();
    CHECK(bucket.moves());

    for (int quiet = 0; quiet < kRound; ++quiet) {
        CAPTURE(quiet);
        bucket.look_quietly(quiet);
        commit_and_publish(replica, static_cast<std::uint8_t>(quiet));
        CHECK(bucket.moves());
        CHECK(bucket.shows(replica));
    }

    CHECK(bucket.target.images == 1);
}

TEST_CASE("a new index is found at once where the last look moved, else by the fourth quiet one") {
    Bucket bucket;
    ReplicaBuilder replica = bucket.builder(kFirst);
    replica.publish_snapshot();
    commit_and_publish(replica, 1);
    CHECK(bucket.moves());

    replica.next_index();
    commit_and_publish(replica, 2);
    CHECK(bucket.looks_until_moved() == 1);
    CHECK(bucket.shows(replica));
    bucket.look_quietly(1);
    replica.next_index();
    commit_and_publish(replica, 3);
    CHECK(bucket.looks_until_moved() == 4);

    CHECK(bucket.shows(replica));
    CHECK(bucket.target.images == 1);
}

TEST_CASE("a new generation is found by the sixteenth quiet look") {
    Bucket bucket;
    ReplicaBuilder first = bucket.builder(kFirst);
    first.publish_snapshot();
    commit_and_publish(first, 1);
    CHECK(bucket.moves());
    bucket.look_quietly(1);
    ReplicaBuilder second = bucket.builder(kSecond, kFirst);
    second.publish_snapshot();
    commit_and_publish(second, 9);

    CHECK(bucket.looks_until_moved() == kRound);

    CHECK(bucket.shows(second));
}

TEST_CASE("where retention took what is next in a bucket the newest snapshot is taken") {
    Bucket bucket;
    ReplicaBuilder replica = bucket.builder(kFirst);
    replica.publish_snapshot();
    CHECK(bucket.moves());
    commit_and_publish(replica, 1);
    replica.next_index();
    commit_and_publish(replica, 2);
    replica.publish_snapshot();
    commit_and_publish(replica, 3);
    REQUIRE(bucket.writer->remove(segment_path(kFirst, 0, 0)));

    CHECK(bucket.looks_until_moved() > 0);

    CHECK(bucket.shows(replica));
    CHECK(bucket.target.images == 2);
}

TEST_CASE("a follower that was away while retention took its index goes on from the newest snapshot") {
    Bucket bucket;
    ReplicaBuilder replica = bucket.builder(kFirst);
    replica.publish_snapshot();
    CHECK(bucket.moves());
    commit_and_publish(replica, 1);
    replica.next_index();
    commit_and_publish(replica, 2);
    replica.publish_snapshot();
    const auto segments = bucket.writer->segments(kFirst);
    REQUIRE(segments);
    for (const SegmentInfo& segment : *segments) {
        if (segment.index == 0) REQUIRE(bucket.writer->remove(segment.name));
    }
    bucket.open();

    CHECK(bucket.moves());

    CHECK(bucket.shows(replica));
}

TEST_CASE("a follower that begins again goes on with three requests, and nothing is fetched twice") {
    Bucket bucket;
    ReplicaBuilder replica = bucket.builder(kFirst);
    replica.publish_snapshot();
    commit_and_publish(replica, 1);
    replica.next_index();
    commit_and_publish(replica, 2);
    CHECK(bucket.moves());
    bucket.open();

    const auto requests = bucket.look(false);

    CHECK(count_of(requests, is_list) == 2);
    CHECK(requests.size() == 3);  // and the trailer of the last segment
    CHECK(bucket.target.images == 1);
}

TEST_CASE("a store that refuses is an error that says why, and a later look goes on") {
    Bucket bucket;
    ReplicaBuilder replica = bucket.builder(kFirst);
    replica.publish_snapshot();
    commit_and_publish(replica, 1);
    CHECK(bucket.moves());
    bucket.look_quietly(1);
    commit_and_publish(replica, 2);
    bucket.store.plan({.pattern = "GET", .status = 403, .code = "AccessDenied", .times = 1});
    bucket.store.plan({.pattern = "GET", .status = 404, .code = "NoSuchBucket", .times = 1});
    bucket.store.plan({.pattern = "GET", .kind = StoreFault::Kind::kReset, .times = 5});

    const auto denied = bucket.follower->look();
    const auto gone = bucket.follower->look();
    const auto cut = bucket.follower->look();
    CHECK(bucket.moves());

    REQUIRE(!denied);
    CHECK(denied.error().code == ErrorCode::kAuth);
    CHECK(denied.error().message.find("AccessDenied") != std::string::npos);
    REQUIRE(!gone);
    CHECK(gone.error().code == ErrorCode::kCantOpen);
    REQUIRE(!cut);
    CHECK(cut.error().code == ErrorCode::kIo);
    CHECK(bucket.shows(replica));
}

TEST_CASE("a look that waits for the store ends when it is cancelled") {
    Bucket bucket;
    ReplicaBuilder replica = bucket.builder(kFirst);
    replica.publish_snapshot();
    CHECK(bucket.moves());
    bucket.store.plan({.pattern = "GET", .kind = StoreFault::Kind::kHang});
    Result<bool> looked = false;
    std::thread thread([&] { looked = bucket.follower->look(); });

    const bool hangs = bucket.store.wait_for_hang();
    bucket.reader->cancel();
    thread.join();

    CHECK(hangs);
    REQUIRE(!looked);
    CHECK(looked.error().code == ErrorCode::kInterrupt);
}
