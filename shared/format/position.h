// Position: the end of a commit, `generation/index:offset`, as Litestream's Pos prints it
// (29cf4bced74e92ab/00000000000003e8:00000000000007d0). Reentrant.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shared/base/result.h"

namespace litestream {

constexpr std::size_t kPositionTextSize = 16 + 1 + 16 + 1 + 16;
constexpr std::uint64_t kMaxIndex = 0x7FFFFFFF;

bool is_generation_name(std::string_view text);  // exactly 16 characters 0-9a-f

struct Position {
    std::string generation;  // 16 lower-case hex digits; empty: no position
    std::uint64_t index = 0;
    std::uint64_t offset = 0;  // bytes of the uncompressed WAL of that index; 0: before its header

    bool empty() const { return generation.empty(); }
    std::string to_string() const;  // "" when empty
    // kInput: `invalid position "X": expected GENERATION/INDEX:OFFSET, ...`
    static Result<Position> parse(std::string_view text);

    bool operator==(const Position&) const = default;
    // Order within one generation: index, then offset. The caller compares the generations.
    bool before(const Position& other) const {
        return index != other.index ? index < other.index : offset < other.offset;
    }
};

}  // namespace litestream
