// Names of files in the meta directory and in replicas (Litestream e6f7c60, sections 1 and 5):
//
//   generations/GEN/snapshots/INDEX.snapshot.lz4        GEN: 16 lower-case hex digits
//   generations/GEN/wal/INDEX/OFFSET.wal.lz4            INDEX, OFFSET: 16 hex digits
//
// and in replicas of released Litestream 0.3 (8 digits, flat; an offset past 4 GiB has more):
//   generations/GEN/snapshots/INDEX.snapshot.lz4, generations/GEN/wal/INDEX_OFFSET.wal.lz4
// Reentrant. Paths are relative, without a leading slash.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace litestream {

std::string generations_path();                            // generations
std::string generation_path(std::string_view generation);  // generations/GEN
std::string snapshots_path(std::string_view generation);   // .../snapshots
std::string snapshot_path(std::string_view generation, std::uint64_t index);
std::string wal_path(std::string_view generation);                         // .../wal
std::string index_path(std::string_view generation, std::uint64_t index);  // .../wal/INDEX
std::string segment_path(std::string_view generation, std::uint64_t index, std::uint64_t offset);

// The inverse, from single names; nullopt: not such a name (temporary files are not).
std::optional<std::uint64_t> parse_index_name(std::string_view name);    // "0000000000000001"
std::optional<std::uint64_t> parse_segment_name(std::string_view name);  // "0000000000000020.wal.lz4"
// The digits say which layout: 16 (e6f7c60) or 8 (0.3).
struct SnapshotName {
    std::uint64_t index = 0;
    bool is_v3 = false;
};
std::optional<SnapshotName> parse_snapshot_name(std::string_view name);
std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_v3_segment_name(std::string_view name);

}  // namespace litestream
