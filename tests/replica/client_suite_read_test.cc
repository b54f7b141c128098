// What shared/replica/replica_client.h promises, sentence by sentence, over every client: listing, reading.
#include <cstdlib>

#include "shared/base/clock.h"
#include "shared/format/path.h"
#include "tests/replica/client_places.h"

namespace litestream {
namespace {

constexpr const char* kGeneration = "0123456789abcdef";

using Names = std::vector<std::string>;

Trailer trailer_of(std::size_t commits) {
    Trailer trailer;
    trailer.generation = kGeneration;
    trailer.page_size = 512;
    trailer.page_count = 1;
    for (std::size_t i = 1; i <= commits; ++i) trailer.commits.push_back({i * 1000, 0});
    trailer.end_offset = trailer.commits.back().end_offset;
    return trailer;
}

}  // namespace

// --- Listing ---

TEST_CASE_TEMPLATE("a replica that does not exist yet is empty, and looking at it creates nothing", Place,
                   EACH_PLACE) {
    Place place;
    ReplicaClient& client = place.client();

    CHECK(client.generations()->empty());
    CHECK(client.snapshots(kGeneration)->empty());
    CHECK(client.segments(kGeneration)->empty());
    CHECK(client.remove_remains(kGeneration));

    CHECK(place.names().empty());
}

TEST_CASE_TEMPLATE("generations are listed in order, and names that are none are skipped", Place,
                   EACH_PLACE) {
    Place place;
    const Names sorted = {"9000000000000000", "a000000000000000", "b000000000000000", "c000000000000000"};
    for (const std::size_t i : {2, 1, 3, 0}) {
        const std::string& name = sorted[i];
        REQUIRE(place.client().publish(snapshot_path(name, 0), text("x")));
    }
    for (const char* name : {"generations/README", "generations/A000000000000000/x", "generations/a0/x",
                             "generations2/d000000000000000/x", "owner"}) {
        place.put(name, "not ours");
    }

    const auto generations = place.client().generations();

    CHECK(*generations == sorted);
}

TEST_CASE_TEMPLATE("segments are listed by index and offset, in both layouts, and nothing else is", Place,
                   EACH_PLACE) {
    Place place;
    const std::pair<std::uint64_t, std::uint64_t> places[] = {{16, 0}, {2, 32}, {2, 0}, {3, 0}};
    for (const auto& [index, offset] : places) {
        REQUIRE(place.client().publish(segment_path(kGeneration, index, offset), text("segment")));
    }
    const std::string flat = wal_path(kGeneration) + "/00000001_000000ff.wal.lz4";
    place.put(flat, "of 0.3");
    for (const std::string& name :
         {segment_path(kGeneration, 2, 64) + ".tmp", wal_path(kGeneration) + "/ab/x",
          wal_path(kGeneration) + "/README", snapshot_path(kGeneration, 0)}) {
        place.put(name, "none");
    }

    const auto segments = place.client().segments(kGeneration);

    REQUIRE(segments->size() == 5);
    Names names;
    for (const SegmentInfo& segment : *segments) names.push_back(segment.name);
    CHECK(names == Names{flat, segment_path(kGeneration, 2, 0), segment_path(kGeneration, 2, 32),
                         segment_path(kGeneration, 3, 0), segment_path(kGeneration, 16, 0)});
    CHECK((*segments)[0].index == 1);
    CHECK((*segments)[0].offset == 0xff);
    CHECK((*segments)[4].index == 16);
    CHECK((*segments)[4].generation == kGeneration);
    CHECK((*segments)[4].size_bytes == 7);
    CHECK(std::abs((*segments)[4].created_ms - wall_clock_ms()) < 60'000);
    CHECK(place.client().segments("00000000000000ff")->empty());
}

TEST_CASE_TEMPLATE("snapshots are listed by index, and nothing else is", Place, EACH_PLACE) {
    Place place;
    for (const std::uint64_t index : {16, 2, 3}) {
        REQUIRE(place.client().publish(snapshot_path(kGeneration, index), text("snapshot!")));
    }
    place.put(snapshots_path(kGeneration) + "/0000000000000001.snapshot.lz4.tmp-0badcafe", "half");
    place.put(snapshots_path(kGeneration) + "/README", "not ours");
    place.put(segment_path(kGeneration, 0, 0), "segment");

    const auto snapshots = place.client().snapshots(kGeneration);

    REQUIRE(snapshots->size() == 3);
    CHECK((*snapshots)[0].name == snapshot_path(kGeneration, 2));
    CHECK((*snapshots)[1].index == 3);
    CHECK((*snapshots)[2].index == 16);
    CHECK((*snapshots)[2].generation == kGeneration);
    CHECK((*snapshots)[2].size_bytes == 9);
    CHECK(std::abs((*snapshots)[2].created_ms - wall_clock_ms()) < 60'000);
}

// --- Reading ---

TEST_CASE_TEMPLATE("a file of any size comes back as it went", Place, EACH_PLACE) {
    Place place;
    for (const std::size_t size : {0, 1, 39, 40, 41, 63, 64, 65, 90, 91, 128, 129, 1000}) {
        CAPTURE(size);
        const std::string name = "file-" + std::to_string(size);

        REQUIRE(place.client().publish(name, text(letters(size))));

        CHECK(content_of(place.client(), name) == letters(size));
    }
    CHECK(place.names().size() == 13);
}

TEST_CASE_TEMPLATE("what is missing is named", Place, EACH_PLACE) {
    Place place;
    const std::string name = segment_path(kGeneration, 0, 0);

    CHECK(code_of(place.client().open(name), name) == ErrorCode::kNotFound);
    CHECK(code_of(place.client().trailer(name), name) == ErrorCode::kNotFound);
}

TEST_CASE_TEMPLATE("a trailer is found at the end, however long it is", Place, EACH_PLACE) {
    Place place;
    for (const std::size_t commits : {1, 3000}) {
        CAPTURE(commits);
        const std::string name = "file-" + std::to_string(commits);
        const Trailer trailer = trailer_of(commits);
        place.put(name, letters(100) + std::string(as_text(trailer.encode())));

        const auto found = place.client().trailer(name);

        REQUIRE(found);
        CHECK(*found == trailer);
    }
}

TEST_CASE_TEMPLATE("a file that is short or ends in something else has no trailer, and that is no error",
                   Place, EACH_PLACE) {
    Place place;
    const std::string whole(as_text(trailer_of(1).encode()));
    const std::string wrong[] = {"",
                                 "abc",
                                 std::string(5000, '\0'),
                                 std::string(5000, '\xff'),
                                 whole.substr(1),
                                 whole.substr(0, whole.size() - 1),
                                 whole + "x"};
    for (const std::string& content : wrong) {
        CAPTURE(content.size());
        place.put("file", content);

        const auto found = place.client().trailer("file");

        REQUIRE_MESSAGE(found, found.error().message);
        CHECK_FALSE(found->has_value());
    }
}

}  // namespace litestream
