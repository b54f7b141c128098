#include "shared/format/path.h"

#include "shared/base/text.h"
#include "shared/format/position.h"

namespace litestream {
namespace {

constexpr std::string_view kSegmentSuffix = ".wal.lz4";
constexpr std::string_view kSnapshotSuffix = ".snapshot.lz4";
constexpr std::size_t kDigits = 16;
constexpr std::size_t kDigitsV3 = 8;

// Exactly as it would be written: a name in another spelling is not a name of ours.
std::optional<std::uint64_t> parse_digits(std::string_view text, std::size_t digits) {
    if (text.size() != digits || !is_lower_hex(text)) return std::nullopt;
    const auto value = parse_hex(text, "name");
    if (!value) return std::nullopt;
    return *value;
}

std::optional<std::uint64_t> parse_index(std::string_view text, std::size_t digits) {
    const auto index = parse_digits(text, digits);
    return index && *index <= kMaxIndex ? index : std::nullopt;
}

bool take_suffix(std::string_view& name, std::string_view suffix) {
    if (!name.ends_with(suffix)) return false;
    name.remove_suffix(suffix.size());
    return true;
}

}  // namespace

std::string generations_path() { return "generations"; }

std::string generation_path(std::string_view generation) {
    return generations_path().append("/").append(generation);
}

std::string snapshots_path(std::string_view generation) { return generation_path(generation) + "/snapshots"; }

std::string snapshot_path(std::string_view generation, std::uint64_t index) {
    return (snapshots_path(generation) + "/" + to_hex16(index)).append(kSnapshotSuffix);
}

std::string wal_path(std::string_view generation) { return generation_path(generation) + "/wal"; }

std::string index_path(std::string_view generation, std::uint64_t index) {
    return wal_path(generation) + "/" + to_hex16(index);
}

std::string segment_path(std::string_view generation, std::uint64_t index, std::uint64_t offset) {
    return (index_path(generation, index) + "/" + to_hex16(offset)).append(kSegmentSuffix);
}

std::optional<std::uint64_t> parse_index_name(std::string_view name) { return parse_index(name, kDigits); }

std::optional<std::uint64_t> parse_segment_name(std::string_view name) {
    if (!take_suffix(name, kSegmentSuffix)) return std::nullopt;
    return parse_digits(name, kDigits);
}

std::optional<SnapshotName> parse_snapshot_name(std::string_view name) {
    if (!take_suffix(name, kSnapshotSuffix)) return std::nullopt;
    const bool is_v3 = name.size() == kDigitsV3;
    const auto index = parse_index(name, is_v3 ? kDigitsV3 : kDigits);
    if (!index) return std::nullopt;
    return SnapshotName{*index, is_v3};
}

std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_v3_segment_name(std::string_view name) {
    if (!take_suffix(name, kSegmentSuffix)) return std::nullopt;
    if (name.size() < kDigitsV3 + 1 + kDigitsV3 || name[kDigitsV3] != '_') return std::nullopt;
    const auto index = parse_index(name.substr(0, kDigitsV3), kDigitsV3);
    // Zero-padded to 8 digits; a WAL of more than 4 GiB makes them more.
    const std::string_view digits = name.substr(kDigitsV3 + 1);
    if (digits.size() > kDigits || (digits.size() > kDigitsV3 && digits.front() == '0')) return std::nullopt;
    const auto offset = parse_digits(digits, digits.size());
    if (!index || !offset) return std::nullopt;
    return std::pair(*index, *offset);
}

}  // namespace litestream
