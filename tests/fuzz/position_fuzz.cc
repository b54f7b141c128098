#include "shared/format/path.h"
#include "shared/format/position.h"
#include "tests/fuzz/check.h"

using namespace litestream;

namespace {

std::string_view last_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// A name that parses is the name that would be written.
void check_names(std::string_view text) {
    if (const auto index = parse_index_name(text)) claim(last_name(index_path("g", *index)) == text);
    if (const auto offset = parse_segment_name(text)) claim(last_name(segment_path("g", 0, *offset)) == text);
    const auto snapshot = parse_snapshot_name(text);
    if (snapshot && !snapshot->is_v3) claim(last_name(snapshot_path("g", snapshot->index)) == text);
    if (const auto segment = parse_v3_segment_name(text)) claim(segment->first <= kMaxIndex);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = as_text({data, size});
    check_names(text);
    const auto position = Position::parse(text);
    if (!position) return 0;
    claim(is_generation_name(position->generation) && position->index <= kMaxIndex);
    const auto back = Position::parse(position->to_string());
    claim(back.has_value() && *back == *position);
    return 0;
}
