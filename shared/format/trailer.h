// Trailer: what Litestream's layout does not record, kept behind the lz4 frame of our segments and
// snapshots in one lz4 skippable frame, which every lz4 reader passes over. Reentrant.
//
// It says exactly where a file starts and ends, links an index to the one before it and a generation to its
// predecessor, and gives the time of every commit, so that a restore can prove that nothing is missing.
//
//   0 5E 2A 4D 18              lz4 skippable frame, magic 184D2A5E
//   4 payload size             u32 little-endian: everything behind it
//   8 "LSTR", version 1, kind (1 segment, 2 snapshot), two zero bytes
//  16 generation               8 bytes
//  24 predecessor              8 bytes; zero: none
//  32 index                    u64 big-endian, like all that follow
//  40 start offset, end offset u64 each; a snapshot has both equal: its position
//  56 previous end             u64; where the index before this one ended; 0 for the first index
//  64 previous checksum        u32 x 2; checksum of its last frame, as stored
//  72 end checksum             u32 x 2; checksum of the last frame of this file, as stored; zero in a
//  snapshot
//                              that does not know it
//  80 source checksum          u32 x 2; of that frame as it stands in the live WAL; differs after SQLite
//                              committed frames without checksums
//  88 salts                    8 bytes, those of this index; zero while the index has no WAL header
//  96 page size, page count    u32 each; the database after the last commit
// 104 content CRC-32           of the uncompressed bytes of this file
// 108 commit count             u32; 1 for a snapshot: its position and the time when it was taken
// 112 commits                  per commit: end offset minus the one before (the start offset at first) as
//                              varint, time in ms minus the one before (0 at first) as varint
//     CRC-32                   u32, of everything from byte 8 to here
//     size                     u32, of the whole skippable frame: a reader finds it from the end of a file
// Varints are LEB128 in their shortest spelling, at most 9 bytes (63 bits).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/file.h"
#include "shared/format/position.h"
#include "shared/format/wal.h"

namespace litestream {

constexpr std::size_t kMaxTrailerSize = 32u << 20;
constexpr std::size_t kMinTrailerSize = 112 + 8;

struct Commit {
    std::uint64_t end_offset = 0;
    std::int64_t time_ms = 0;
    bool operator==(const Commit&) const = default;
};

struct Trailer {
    enum class Kind : std::uint8_t { kSegment = 1, kSnapshot = 2 };

    Kind kind = Kind::kSegment;
    std::string generation;   // 16 hex digits
    std::string predecessor;  // 16 hex digits or empty
    std::uint64_t index = 0;
    std::uint64_t start_offset = 0;
    std::uint64_t end_offset = 0;
    std::uint64_t previous_end = 0;
    WalChecksum previous_checksum;
    WalChecksum end_checksum;
    WalChecksum source_checksum;
    Salts salts = {};
    std::uint32_t page_size = 0;
    std::uint32_t page_count = 0;
    std::uint32_t content_crc = 0;
    std::vector<Commit> commits;  // at least one; ends ascending, times never falling, the last at end_offset

    Position end() const { return {generation, index, end_offset}; }
    Bytes encode() const;
    // Exactly one trailer, all of `bytes`. Total: kCorrupt names the rule that is broken.
    static Result<Trailer> decode(ByteView bytes);
    bool operator==(const Trailer&) const = default;
};

// The trailer at the end of a file, found without decompressing; nullopt: there is none (or it is
// damaged: reading the whole file tells).
Result<std::optional<Trailer>> read_trailer(const File& file);
// The same of a whole file in memory, or of enough of its end.
std::optional<Trailer> trailer_at_end(ByteView file);

}  // namespace litestream
