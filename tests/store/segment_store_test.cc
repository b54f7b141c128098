// The meta directory: what it lists, what it keeps, what it finds when it is opened again.
#include "shared/store/segment_store.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "shared/format/path.h"
#include "tests/support/temp_directory.h"

using namespace litestream;

namespace {

constexpr std::uint32_t kPageSize = 4096;
constexpr std::uint64_t kFrame = kFrameHeaderSize + kPageSize;
const std::string kFirst = "00000000000000aa";
const std::string kSecond = "00000000000000bb";

std::uint64_t at(std::uint64_t frame) { return wal_size(frame, kPageSize); }

struct Fixture {
    TempDirectory directory;
    SegmentStore store{directory.path() + "/app.db"};

    Fixture() { REQUIRE(store.open(0600)); }

    void generation(const std::string& name) { REQUIRE(store.begin_generation(name, "a test")); }

    void index(std::uint64_t number) {
        WalHeader header;
        header.page_size = kPageSize;
        REQUIRE(store.begin_index(number, header.encode()));
    }

    // `frames` frames from frame `first` (1: the first) on, of bytes that do not compress.
    void segment(std::uint64_t number, std::uint64_t first, std::uint64_t frames) {
        Trailer trailer;
        trailer.generation = store.generation();
        trailer.index = number;
        trailer.start_offset = wal_size(first - 1, kPageSize);
        trailer.end_offset = wal_size(first - 1 + frames, kPageSize);
        trailer.page_size = kPageSize;
        trailer.page_count = 1;
        trailer.commits = {{trailer.end_offset, 1}};
        auto draft = store.draft_segment(number, trailer.start_offset);
        REQUIRE(draft);
        Bytes bytes(frames * kFrame);
        std::uint32_t value = 1;
        for (std::uint8_t& byte : bytes)
            byte = static_cast<std::uint8_t>((value = value * 1664525 + 1013904223) >> 24);
        REQUIRE(draft->write(bytes));
        REQUIRE(draft->publish(trailer));
    }

    // Of the segment that begins with this frame; what is left is a whole lz4 frame.
    void cut_trailer(std::uint64_t number, std::uint64_t first) {
        const std::string path = store.path() + "/" + segment_path(store.generation(), number, at(first - 1));
        const auto bytes = read_file(path, 1u << 20);
        REQUIRE(bytes);
        std::filesystem::resize_file(path, bytes->size() - load_be32(bytes->data() + bytes->size() - 4));
    }

    std::vector<std::uint64_t> starts_after(const Position& position, std::uint64_t limit = 1u << 30) {
        std::vector<std::uint64_t> starts;
        for (const SegmentRef& segment : store.segments_after(position, limit))
            starts.push_back(segment.start);
        return starts;
    }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "an index keeps its header where a new one cannot be written") {
    generation(kFirst);
    index(0);
    segment(0, 1, 2);
    const std::string header = store.path() + "/" + segment_path(kFirst, 0, 0);
    REQUIRE(make_directories(header + ".tmp", 0700));
    WalHeader again;
    again.page_size = kPageSize;

    CHECK_FALSE(store.begin_index(0, again.encode()));

    CHECK(file_exists(header));
}

TEST_CASE_FIXTURE(Fixture, "segments come in order, of one index at a time") {
    generation(kFirst);
    index(0);
    segment(0, 1, 2);
    segment(0, 3, 1);
    index(1);
    segment(1, 1, 1);

    CHECK(starts_after({kFirst, 0, 0}) == std::vector<std::uint64_t>{at(0), at(2)});
    CHECK(starts_after({kFirst, 0, at(2)}) == std::vector<std::uint64_t>{at(2)});
    CHECK(starts_after({kFirst, 0, at(3)}) == std::vector<std::uint64_t>{at(0)});
    CHECK(starts_after({kFirst, 1, at(1)}).empty());
    CHECK(starts_after({kSecond, 0, 0}).empty());
    CHECK(starts_after({kFirst, 0, 0}, 1) == std::vector<std::uint64_t>{at(0)});
}

TEST_CASE_FIXTURE(Fixture, "a position inside a segment finds that segment") {
    generation(kFirst);
    index(0);
    segment(0, 1, 4);

    CHECK(starts_after({kFirst, 0, at(2)}) == std::vector<std::uint64_t>{at(0)});
}

TEST_CASE_FIXTURE(Fixture, "an old generation is still listed until everybody has it") {
    generation(kFirst);
    index(0);
    segment(0, 1, 1);
    generation(kSecond);
    index(0);
    segment(0, 1, 1);

    CHECK(store.generations() == std::vector<std::string>{kFirst, kSecond});
    CHECK(starts_after({kFirst, 0, 0}) == std::vector<std::uint64_t>{at(0)});
    CHECK(store.end() == Position{kSecond, 0, at(1)});
}

TEST_CASE_FIXTURE(Fixture, "opened again it goes on behind the last segment") {
    generation(kFirst);
    index(0);
    segment(0, 1, 2);

    SegmentStore again(directory.path() + "/app.db");
    REQUIRE(again.open(0600));

    REQUIRE(again.tail());
    CHECK(again.end() == Position{kFirst, 0, at(2)});
    CHECK(again.generation_reason() == "a test");
}

TEST_CASE_FIXTURE(Fixture,
                  "damaged segments at the end are dropped, and an index without commits with them") {
    generation(kFirst);
    index(0);
    segment(0, 1, 1);
    index(1);
    segment(1, 1, 1);
    std::filesystem::resize_file(store.path() + "/" + segment_path(kFirst, 1, at(0)), 0);

    SegmentStore again(directory.path() + "/app.db");
    REQUIRE(again.open(0600));

    CHECK(again.end() == Position{kFirst, 0, at(1)});
    CHECK_FALSE(std::filesystem::exists(again.path() + "/" + index_path(kFirst, 1)));
}

TEST_CASE_FIXTURE(Fixture, "a last segment that lost its trailer is dropped, and named as damaged") {
    generation(kFirst);
    index(0);
    segment(0, 1, 1);
    segment(0, 2, 1);
    cut_trailer(0, 2);

    SegmentStore again(directory.path() + "/app.db");
    REQUIRE(again.open(0600));

    CHECK_FALSE(again.tail_is_foreign());
    CHECK(again.end() == Position{kFirst, 0, at(1)});
    CHECK(again.damage() == "segment " + segment_path(kFirst, 0, at(1)) +
                                " is damaged (power loss or a full disk?): cut short before its trailer");
    REQUIRE(again.open(0600));
    CHECK(again.damage() == "");
}

TEST_CASE_FIXTURE(Fixture, "segments that never had trailers, or lie in a generation of others, are theirs") {
    generation(kFirst);
    index(0);
    segment(0, 1, 1);
    segment(0, 2, 1);
    cut_trailer(0, 2);
    const std::string reason = store.path() + "/" + generation_path(kFirst) + "/reason";
    std::filesystem::rename(reason, reason + "-away");

    SegmentStore without_reason(directory.path() + "/app.db");
    REQUIRE(without_reason.open(0600));
    std::filesystem::rename(reason + "-away", reason);
    cut_trailer(0, 1);
    SegmentStore without_trailers(directory.path() + "/app.db");
    REQUIRE(without_trailers.open(0600));

    CHECK(without_reason.tail_is_foreign());
    CHECK(without_trailers.tail_is_foreign());
    CHECK(without_trailers.damage() == "");
}

TEST_CASE_FIXTURE(Fixture, "what every replica has goes beyond the tail, but never the last two indexes") {
    constexpr std::uint64_t kFrames = kLocalTailBytes / kFrame / 2 + 1;
    generation(kFirst);
    store.set_cursor("slow", {});
    for (std::uint64_t number = 0; number < 4; ++number) {
        index(number);
        segment(number, 1, kFrames);
    }

    store.trim();
    CHECK(store.has_index_from_start(kFirst, 0));
    store.set_cursor("slow", {kFirst, 1, at(kFrames)});
    store.trim();
    CHECK_FALSE(store.has_index_from_start(kFirst, 1));
    CHECK(store.has_index_from_start(kFirst, 2));
    store.set_cursor("slow", store.end());
    store.trim();

    CHECK(store.has_index_from_start(kFirst, 2));
    CHECK(store.has_index_from_start(kFirst, 3));
    CHECK_FALSE(std::filesystem::exists(store.path() + "/" + index_path(kFirst, 0)));
}

TEST_CASE_FIXTURE(Fixture, "past the cap even what a replica lacks goes, but never the last two indexes") {
    constexpr std::uint64_t kCap = 64u << 10;
    store.set_cap(kCap);
    generation(kFirst);
    store.set_cursor("unreachable", {});
    for (std::uint64_t number = 0; number < 8; ++number) {
        index(number);
        segment(number, 1, 4);
    }

    store.trim();
    CHECK(store.local_bytes() <= kCap);
    CHECK_FALSE(store.has_index_from_start(kFirst, 4));
    store.set_cap(0);
    store.trim();

    CHECK_FALSE(store.has_index_from_start(kFirst, 5));
    CHECK(store.has_index_from_start(kFirst, 6));
    CHECK(starts_after({kFirst, 6, 0}) == std::vector<std::uint64_t>{at(0)});
}

TEST_CASE_FIXTURE(Fixture, "past the cap an old generation goes before anything of the current one") {
    generation(kFirst);
    store.set_cursor("unreachable", {});
    index(0);
    segment(0, 1, 1);
    generation(kSecond);
    index(0);
    segment(0, 1, 1);
    store.set_cap(0);

    store.trim();

    CHECK(starts_after({kFirst, 0, 0}).empty());
    CHECK(starts_after({kSecond, 0, 0}) == std::vector<std::uint64_t>{at(0)});
    CHECK_FALSE(std::filesystem::exists(store.path() + "/" + generation_path(kFirst)));
}

TEST_CASE_FIXTURE(Fixture, "a released cursor keeps no segment, and its promise stays") {
    generation(kFirst);
    index(0);
    segment(0, 1, 1);
    store.set_cursor("a", {});
    REQUIRE(store.promise("a", {kFirst, 0, at(1)}));

    store.release_cursor("a");

    CHECK(std::filesystem::exists(store.path() + "/" + kPromisePrefix + "a"));
    store.drop_cursor("a");
    CHECK_FALSE(std::filesystem::exists(store.path() + "/" + kPromisePrefix + "a"));
}

TEST_CASE_FIXTURE(Fixture, "the furthest promise of the generation is known again") {
    generation(kFirst);
    index(0);
    segment(0, 1, 1);
    REQUIRE(store.promise("a", {kFirst, 0, at(1)}));
    REQUIRE(store.promise("b", {kFirst, 2, at(7)}));
    REQUIRE(store.promise("c", {kSecond, 9, at(1)}));

    SegmentStore again(directory.path() + "/app.db");
    REQUIRE(again.open(0600));

    CHECK(again.promised() == Position{kFirst, 2, at(7)});
}

TEST_CASE_FIXTURE(Fixture, "a file in the place of the meta directory is left alone") {
    const std::string path = directory.path() + "/other.db";
    REQUIRE(write_file_atomically(path + "-litestream", as_bytes("mine"), 0600));

    SegmentStore other(path);
    const Status opened = other.open(0600);

    REQUIRE_FALSE(opened);
    CHECK(opened.error().message == path + "-litestream: is not a directory; move it away");
}

TEST_CASE_FIXTURE(Fixture, "a file's permissions are the database's, never more") {
    SegmentStore shared(directory.path() + "/shared.db");
    REQUIRE(shared.open(0640));
    REQUIRE(shared.begin_generation(kFirst, "a test"));

    const auto mode = [&](const std::string& name) {
        return static_cast<unsigned>(std::filesystem::status(shared.path() + name).permissions());
    };

    CHECK((mode("") & ~0750u) == 0);
    CHECK((mode("/generation") & ~0640u) == 0);
}
