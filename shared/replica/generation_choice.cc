#include "shared/replica/generation_choice.h"

#include <algorithm>
#include <optional>

#include "shared/base/clock.h"

namespace litestream {
namespace {

using Generations = std::vector<Generation>;

std::optional<std::size_t> find(const Generations& generations, const std::string& name) {
    for (std::size_t i = 0; i < generations.size(); ++i) {
        if (generations[i].name == name) return i;
    }
    return std::nullopt;
}

std::string describe(const Generations& generations) {
    std::string text;
    for (const Generation& generation : generations) {
        if (generation.snapshots.empty()) continue;
        text += text.empty() ? "" : ", ";
        text += generation.name + " (" + format_time(generation.snapshots.front().time_ms()) + " to " +
                format_time(generation.last_ms()) + ")";
    }
    return text.empty() ? "none with a snapshot" : text;
}

// The newest of those that `accept`; nullopt: none.
template <typename Accept>
std::optional<std::size_t> newest_of(const Generations& generations, const Accept& accept) {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < generations.size(); ++i) {
        if (!accept(generations[i])) continue;
        if (!best || generations[i].last_ms() >= generations[*best].last_ms()) best = i;
    }
    return best;
}

std::size_t latest(const Generations& generations) {
    std::size_t at = *newest_of(generations, [](const Generation&) { return true; });
    // Each step leads to a successor; damaged names could form a ring, hence the limit.
    for (std::size_t steps = 0; steps < generations.size(); ++steps) {
        const std::string& name = generations[at].name;
        const auto next =
            newest_of(generations, [&name](const Generation& other) { return other.predecessor() == name; });
        if (!next) break;
        at = *next;
    }
    return at;
}

// The generation that was current at `time_ms`, from the latest one back.
std::optional<std::size_t> at_time(const Generations& generations, std::int64_t time_ms) {
    const auto begun = [time_ms](const Generation& one) { return one.first_ms() <= time_ms; };
    std::size_t at = latest(generations);
    for (std::size_t steps = 0; steps < generations.size(); ++steps) {
        if (begun(generations[at])) return at;
        const auto before = find(generations, generations[at].predecessor());
        if (!before) break;
        at = *before;
    }
    return newest_of(generations, begun);
}

Error before_everything(const Generations& generations, std::int64_t time_ms) {
    std::optional<std::int64_t> oldest;
    for (const Generation& generation : generations) {
        if (generation.snapshots.empty()) continue;
        const std::int64_t time = generation.snapshots.front().time_ms();
        oldest = oldest ? std::min(*oldest, time) : time;
    }
    return bad_input("nothing is known of " + format_time(time_ms) + ": " +
                     (oldest ? "the oldest snapshot is of " + format_time(*oldest) : "there is no snapshot"));
}

Result<std::size_t> find_wanted(const Generations& generations, const std::string& wanted,
                                const RestoreTarget& target) {
    const auto found = find(generations, wanted);
    if (found) return *found;
    const bool exact = target.kind == RestoreTarget::Kind::kPosition;
    return bad_input((exact ? "position " + target.position.to_string() + ": " : std::string()) +
                     "generation " + wanted + " is not there; available: " + describe(generations));
}

}  // namespace

Result<std::size_t> choose_generation(const Generations& generations, const std::string& wanted,
                                      const RestoreTarget& target) {
    if (generations.empty()) return Error{ErrorCode::kNotFound, "holds nothing to restore"};
    std::size_t chosen = 0;
    if (!wanted.empty()) {
        LITESTREAM_ASSIGN(chosen, find_wanted(generations, wanted, target));
    } else if (target.kind == RestoreTarget::Kind::kTimestamp) {
        const auto found = at_time(generations, target.timestamp_ms);
        if (!found) return before_everything(generations, target.timestamp_ms);
        chosen = *found;
    } else {
        chosen = latest(generations);
    }
    const Generation& generation = generations[chosen];
    if (!generation.snapshots.empty()) return chosen;
    return bad_input(
        "generation " + generation.name + " has data until " + format_time(generation.last_ms()) +
        " but no snapshot yet; an older generation can be restored with the option generation: " +
        describe(generations));
}

}  // namespace litestream
