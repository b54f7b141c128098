// A replica that holds another history of the same generation: the machine was set back, or has a copy.
#include <doctest/doctest.h>

#include "tests/replica/site.h"

namespace litestream {
namespace {

constexpr const char* kGeneration = "00000000000000a1";
constexpr const char* kNext = "00000000000000b2";
constexpr const char* kEarlier = "0000000000000099";

// Three commits are in the replica; another primary has the same generation and other commits.
struct Forked {
    ReplicaFiles files;
    FakeClock clock;
    Site other{files, kEarlier, clock};
    std::vector<std::string> names;

    explicit Forked(int commits) {
        Site first(files, kGeneration, clock);
        first.start();
        for (int i = 0; i < 3; ++i) {
            first.primary.commit();
            first.flush();
        }
        first.stop();
        names = files.names();
        other.primary.commit();
        other.primary.begin_generation(kGeneration);
        for (int i = 0; i < commits; ++i) other.primary.commit();
    }

    void check_left_alone() {
        other.start();
        until([&] { return other.has_error("set back"); });
        CHECK(other.primary.store().take_request());
        CHECK(files.names() == names);

        other.primary.begin_generation(kNext);
        const Position next = other.primary.commit();
        other.flush();
        CHECK(other.check_restores_from(next) == 1);
    }
};

}  // namespace

TEST_CASE("a replica that is ahead of its primary is another history, which is left alone") {
    Forked(1).check_left_alone();
}

TEST_CASE("another history is told from the index behind it too") {
    Forked forked(1);
    forked.other.commit_in_next_index();

    forked.check_left_alone();
}

TEST_CASE("a replica whose last frame is not the primary's is another history, which is left alone") {
    Forked(3).check_left_alone();
    Forked(5).check_left_alone();
}

}  // namespace litestream
