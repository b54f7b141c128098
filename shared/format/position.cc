#include "shared/format/position.h"

#include "shared/base/text.h"

namespace litestream {
namespace {

Error position_error(std::string_view text, std::string_view why) {
    return bad_input("invalid position \"" + std::string(text) + "\": expected GENERATION/INDEX:OFFSET, " +
                     std::string(why));
}

}  // namespace

bool is_generation_name(std::string_view text) { return text.size() == 16 && is_lower_hex(text); }

std::string Position::to_string() const {
    return empty() ? "" : generation + "/" + to_hex16(index) + ":" + to_hex16(offset);
}

Result<Position> Position::parse(std::string_view text) {
    const std::size_t slash = text.find('/');
    const std::size_t colon = text.find(':');
    if (slash == std::string_view::npos || colon == std::string_view::npos || colon < slash) {
        return position_error(text, "such as 29cf4bced74e92ab/0000000000000003:0000000000001038");
    }
    Position position;
    position.generation = text.substr(0, slash);
    if (!is_generation_name(position.generation)) {
        return position_error(text, "the generation being 16 digits 0-9a-f");
    }
    const auto index = parse_hex(text.substr(slash + 1, colon - slash - 1), "index");
    if (!index) return position_error(text, "but: " + index.error().message);
    const auto offset = parse_hex(text.substr(colon + 1), "offset");
    if (!offset) return position_error(text, "but: " + offset.error().message);
    if (*index > kMaxIndex) return position_error(text, "the index being at most 7fffffff");
    position.index = *index;
    position.offset = *offset;
    return position;
}

}  // namespace litestream
