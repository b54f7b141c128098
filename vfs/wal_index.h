// The header of SQLite's wal-index, the first 136 bytes of the -shm file (https://sqlite.org/walformat.html,
// section 2): native byte order, two copies of 48 bytes, then nBackfill at byte 96. Reentrant.
//
// Memory shared with other processes: it is read word by word, and a value counts only when both copies agree
// and the checksum fits.
#pragma once

#include <cstdint>
#include <optional>

#include "shared/format/wal.h"

namespace litestream {

struct WalIndexHeader {
    std::uint32_t change = 0;  // iChange: counts commits for as long as the -shm lives
    std::uint32_t page_size = 0;
    std::uint32_t frame_count = 0;  // mxFrame: committed frames in the WAL
    std::uint32_t page_count = 0;   // of the database after the last commit
    WalChecksum frame_checksum;     // of the last frame
    Salts salts = {};
    WordOrder word_order = WordOrder::kLittle;

    bool operator==(const WalIndexHeader&) const = default;
};

// nullopt: never initialised, or a writer is between the two copies.
std::optional<WalIndexHeader> read_wal_index_header(const volatile void* region0);

// iChange alone. The caller holds WRITE.
std::uint32_t read_change(const volatile void* region0);

// nBackfill: frames that checkpoints have copied into the database file.
std::uint32_t read_backfilled_frames(const volatile void* region0);

}  // namespace litestream
