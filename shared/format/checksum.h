// The checksum of SQLite's WAL (fileformat2, section 4.2; wal.c walChecksumBytes): two 32-bit Fibonacci
// sums over pairs of 32-bit words, chained from frame to frame. Reentrant.
#pragma once

#include <cstdint>

#include "shared/base/bytes.h"

namespace litestream {

// The byte order in which the checksum algorithm reads its words: the low bit of the WAL magic.
enum class WordOrder : std::uint8_t { kLittle, kBig };

struct WalChecksum {
    std::uint32_t s0 = 0;
    std::uint32_t s1 = 0;
    bool operator==(const WalChecksum&) const = default;
};

// Continue `seed` over `bytes`, whose length is a multiple of 8.
WalChecksum wal_checksum(WalChecksum seed, ByteView bytes, WordOrder order);

}  // namespace litestream
