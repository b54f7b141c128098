// The write-ahead log file of SQLite (https://sqlite.org/fileformat2.html, section 4). Reentrant; no I/O.
//
//   header, 32 bytes, big-endian              frame header, 24 bytes, then one page
//    0 magic 377f0682 (words little-endian)    0 page number, from 1
//            377f0683 (words big-endian)       4 commit: pages in the database after it; 0 = no commit
//    4 version 3007000                         8 salt 0, salt 1 as in the header
//    8 page size, 512..65536                  16 checksum: header bytes 0..23, then of each frame so far
//   12 checkpoint sequence                       bytes 0..7 and the page
//   16 salt 0, salt 1
//   24 checksum of bytes 0..23
#pragma once

#include <array>
#include <cstdint>

#include "shared/base/bytes.h"
#include "shared/base/result.h"
#include "shared/format/checksum.h"

namespace litestream {

constexpr std::size_t kWalHeaderSize = 32;
constexpr std::size_t kFrameHeaderSize = 24;
constexpr std::uint32_t kWalVersion = 3007000;

using Salts = std::array<std::uint8_t, 8>;  // both salts, the bytes as they stand in file and wal-index

bool is_page_size(std::uint32_t page_size);  // a power of two, 512..65536

// A database's own page size: two bytes of its first page, of which 1 means 65536
// (https://sqlite.org/fileformat2.html, section 1.3.2). Any bytes are a value: is_page_size() judges it.
constexpr std::size_t kPageSizeAt = 16;
inline std::uint32_t load_page_size(const std::uint8_t* stored) {
    const std::uint32_t value = load_be16(stored);
    return value == 1 ? 65536 : value;
}

// Bytes of a WAL with `frames` frames; frames = 0 gives 32.
constexpr std::uint64_t wal_size(std::uint64_t frames, std::uint32_t page_size) {
    return kWalHeaderSize + frames * (kFrameHeaderSize + page_size);
}

struct WalHeader {
    WordOrder word_order = WordOrder::kLittle;
    std::uint32_t page_size = 0;
    std::uint32_t checkpoint_sequence = 0;
    Salts salts = {};
    WalChecksum checksum;  // where the chain of the frames starts

    std::array<std::uint8_t, kWalHeaderSize> encode() const;  // computes the checksum afresh
    // kCorrupt says which rule is broken: length, magic, version, page size, checksum.
    static Result<WalHeader> decode(ByteView bytes);
    bool operator==(const WalHeader&) const = default;
};

struct FrameHeader {
    std::uint32_t page_no = 0;       // from 1
    std::uint32_t commit_pages = 0;  // database size in pages after a commit frame, else 0
    Salts salts = {};
    WalChecksum checksum;

    bool is_commit() const { return commit_pages != 0; }
    void encode(std::uint8_t* out) const;               // 24 bytes
    static FrameHeader decode(const std::uint8_t* in);  // any 24 bytes are a value
};

// The chain: the checksum of a frame from that of its predecessor (or of the WAL header).
// `header` is the encoded frame header, of which bytes 0..7 count.
WalChecksum frame_checksum(WalChecksum previous, const std::uint8_t* header, ByteView page, WordOrder order);

}  // namespace litestream
