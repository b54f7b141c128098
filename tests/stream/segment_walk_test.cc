// From a position on through a store: every step continues the one before, or is refused.
#include "shared/stream/segment_walk.h"

#include <filesystem>

#include "tests/stream/stream_fixture.h"

using namespace litestream;

namespace {

struct Fixture : StreamFixture {
    // Where the files begin that are given from `position` on.
    std::vector<std::string> starts(const Position& position) {
        std::vector<std::string> found;
        SegmentWalk walk(store(), position);
        while (true) {
            auto item = walk.next();
            REQUIRE(item);
            if (!item->has_value()) return found;
            found.push_back(std::to_string((*item)->start.index) + ":" +
                            std::to_string((*item)->start.offset));
        }
    }
    ErrorCode refusal(const Position& position) {
        const auto item = SegmentWalk(store(), position).next();
        REQUIRE_FALSE(item);
        return item.error().code;
    }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a walk gives each index its header and goes on into the next") {
    begin(2);
    database->begin_index(1);
    database->segment(1, 1, 2);

    CHECK(starts({kFirst, 0, 0}) == std::vector<std::string>{"0:0", "0:32", "0:4152", "1:0", "1:32"});
    CHECK(starts({kFirst, 0, at(2)}) == std::vector<std::string>{"1:0", "1:32"});
    CHECK(starts({kFirst, 1, at(1)}) == std::vector<std::string>{"1:32"});
    CHECK(starts({kFirst, 1, at(2)}).empty());
}

TEST_CASE_FIXTURE(Fixture, "an index that did not end where the walk is, is not left for the next one") {
    begin(2);
    database->begin_index(1);
    database->segment(1, 1, 1);

    CHECK(refusal({kFirst, 0, at(3)}) == ErrorCode::kNotFound);
    CHECK_FALSE(can_resume(store(), {kFirst, 0, at(3)}));
    CHECK(can_resume(store(), {kFirst, 0, at(2)}));
}

TEST_CASE_FIXTURE(Fixture, "what was trimmed is not stepped over") {
    begin(1);
    for (const std::uint64_t index : {1, 2, 3}) {
        database->begin_index(index);
        database->segment(index, 1, 1);
    }
    store().set_cap(0);
    store().trim();

    CHECK(refusal({kFirst, 0, 0}) == ErrorCode::kNotFound);
    CHECK(refusal({kFirst, 0, at(1)}) == ErrorCode::kNotFound);
    CHECK(can_resume(store(), {kFirst, 1, at(1)}));
}

TEST_CASE_FIXTURE(Fixture, "another file in the place of a segment is refused") {
    begin(2);
    const std::string path = store().file_of({kFirst, 0, at(1), at(2), 0, 0});
    SUBCASE("another segment") {
        std::filesystem::copy_file(store().file_of({kFirst, 0, at(0), at(1), 0, 0}), path,
                                   std::filesystem::copy_options::overwrite_existing);
        CHECK(refusal({kFirst, 0, at(1)}) == ErrorCode::kCorrupt);
    }
    SUBCASE("an empty file") {
        std::filesystem::resize_file(path, 0);
        CHECK(refusal({kFirst, 0, at(1)}) == ErrorCode::kCorrupt);
    }
    SUBCASE("a symbolic link") {
        REQUIRE(remove_file(path));
        std::filesystem::create_symlink("/etc/passwd", path);
        CHECK(refusal({kFirst, 0, at(1)}) == ErrorCode::kCantOpen);
    }
}

TEST_CASE_FIXTURE(Fixture, "who is ahead of the end, or elsewhere, cannot resume") {
    begin(2);

    CHECK(can_resume(store(), {kFirst, 0, at(2)}));
    CHECK(can_resume(store(), {kFirst, 0, 0}));
    CHECK_FALSE(can_resume(store(), {}));
    CHECK_FALSE(can_resume(store(), {kFirst, 0, at(3)}));
    CHECK_FALSE(can_resume(store(), {kFirst, 1, 0}));
    CHECK_FALSE(can_resume(store(), {kSecond, 0, 0}));
}
