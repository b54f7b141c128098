#include "shared/replica/generation_choice.h"

#include <doctest/doctest.h>

namespace litestream {
namespace {

constexpr const char* kFirst = "1111111111111111";
constexpr const char* kSecond = "2222222222222222";
constexpr const char* kThird = "3333333333333333";

Trailer trailer(const std::string& generation, const std::string& predecessor, std::int64_t time_ms) {
    Trailer value;
    value.generation = generation;
    value.predecessor = predecessor;
    value.commits = {{0, time_ms}};
    return value;
}

// With a snapshot at `first_ms` and a last segment at `last_ms`.
Generation generation(const std::string& name, std::int64_t first_ms, std::int64_t last_ms,
                      const std::string& predecessor = {}) {
    Generation value;
    value.name = name;
    value.snapshots.push_back({{name, 0, 0, 0, {}}, trailer(name, predecessor, first_ms)});
    value.segments.push_back({{name, 0, 0, 0, 0, {}}, trailer(name, predecessor, last_ms)});
    return value;
}

std::string chosen(const std::vector<Generation>& generations, const RestoreTarget& target = {},
                   const std::string& wanted = {}) {
    const auto place = choose_generation(generations, wanted, target);
    return place ? generations[*place].name : place.error().message;
}

RestoreTarget at(std::int64_t time_ms) { return {RestoreTarget::Kind::kTimestamp, time_ms, 0, {}}; }

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("the generation with the newest data is chosen") {
    CHECK(chosen({generation(kFirst, 10, 50), generation(kSecond, 20, 40)}) == kFirst);
    CHECK(chosen({generation(kFirst, 10, 30), generation(kSecond, 20, 40)}) == kSecond);
}

TEST_CASE("a successor is newer, whatever the clocks said") {
    const std::vector<Generation> generations = {
        generation(kFirst, 10, 50), generation(kSecond, 20, 40, kFirst), generation(kThird, 15, 30, kSecond)};

    CHECK(chosen(generations) == kThird);
}

TEST_CASE("generations that name each other do not hang the choice") {
    const std::vector<Generation> ring = {generation(kFirst, 10, 50, kSecond),
                                          generation(kSecond, 20, 40, kFirst)};

    CHECK(chosen(ring).size() == 16);
    CHECK(chosen(ring, at(25)).size() == 16);
    CHECK(contains(chosen(ring, at(5)), "the oldest snapshot is of"));
}

TEST_CASE("a time chooses the generation that was current then") {
    const std::vector<Generation> generations = {
        generation(kFirst, 10, 30), generation(kSecond, 40, 60, kFirst), generation(kThird, 70, 90, kSecond)};

    CHECK(chosen(generations, at(10)) == kFirst);
    CHECK(chosen(generations, at(39)) == kFirst);
    CHECK(chosen(generations, at(40)) == kSecond);
    CHECK(chosen(generations, at(1000)) == kThird);
    CHECK(contains(chosen(generations, at(9)), "the oldest snapshot is of 1970-01-01T00:00:00.010Z"));
}

TEST_CASE("a generation without a snapshot is an error, not a reason to fall back") {
    std::vector<Generation> generations = {generation(kFirst, 10, 30), generation(kSecond, 40, 60, kFirst)};
    generations[1].snapshots.clear();

    const std::string message = chosen(generations);

    CHECK(contains(message, kSecond));
    CHECK(contains(message, "no snapshot yet"));
    CHECK(contains(message, std::string("option generation: ") + kFirst));
    CHECK(chosen(generations, {}, kFirst) == kFirst);
}

TEST_CASE("an unknown generation is refused with those that are there") {
    const std::string message = chosen({generation(kFirst, 10, 30)}, {}, kThird);

    CHECK(contains(message, kThird));
    CHECK(contains(message, std::string("available: ") + kFirst));
}

TEST_CASE("a replica without generations is not found") {
    CHECK(choose_generation({}, "", {}).error().code == ErrorCode::kNotFound);
    CHECK(choose_generation({}, kFirst, {}).error().code == ErrorCode::kNotFound);
}

}  // namespace litestream
