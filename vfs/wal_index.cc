#include "vfs/wal_index.h"

#include <array>
#include <bit>
#include <cstring>

namespace litestream {

namespace {

constexpr std::size_t kCopySize = 48;
constexpr std::size_t kCopyWords = kCopySize / 4;
constexpr std::size_t kChangeWord = 8 / 4;
constexpr std::size_t kBackfillWord = 96 / 4;
constexpr std::uint32_t kWalIndexVersion = 3007000;

using Copy = std::array<std::uint32_t, kCopyWords>;

Copy load_copy(const volatile std::uint32_t* words) {
    Copy copy;
    for (std::size_t i = 0; i < kCopyWords; ++i) copy[i] = __atomic_load_n(words + i, __ATOMIC_ACQUIRE);
    return copy;
}

constexpr WordOrder kNativeOrder =
    std::endian::native == std::endian::little ? WordOrder::kLittle : WordOrder::kBig;

}  // namespace

std::optional<WalIndexHeader> read_wal_index_header(const volatile void* region0) {
    const auto* words = static_cast<const volatile std::uint32_t*>(region0);
    // Writers store the second copy first (wal.c, walIndexWriteHdr), so the first is read first.
    const Copy first = load_copy(words);
    const Copy second = load_copy(words + kCopyWords);
    if (first != second) return std::nullopt;

    std::array<std::uint8_t, kCopySize> bytes;
    std::memcpy(bytes.data(), first.data(), kCopySize);
    const bool is_initialised = bytes[12] != 0;
    if (first[0] != kWalIndexVersion || !is_initialised) return std::nullopt;
    const WalChecksum sum = wal_checksum({}, ByteView(bytes).first(40), kNativeOrder);
    if (sum.s0 != first[10] || sum.s1 != first[11]) return std::nullopt;

    WalIndexHeader header;
    header.change = first[kChangeWord];
    header.word_order = bytes[13] != 0 ? WordOrder::kBig : WordOrder::kLittle;
    std::uint16_t page_size = 0;
    std::memcpy(&page_size, bytes.data() + 14, 2);
    header.page_size = (page_size & 0xfe00u) + ((page_size & 1u) << 16);  // 65536 is stored as 1
    header.frame_count = first[4];
    header.page_count = first[5];
    header.frame_checksum = {first[6], first[7]};
    std::memcpy(header.salts.data(), bytes.data() + 32, header.salts.size());
    return header;
}

std::uint32_t read_change(const volatile void* region0) {
    return __atomic_load_n(static_cast<const volatile std::uint32_t*>(region0) + kChangeWord,
                           __ATOMIC_RELAXED);
}

std::uint32_t read_backfilled_frames(const volatile void* region0) {
    return __atomic_load_n(static_cast<const volatile std::uint32_t*>(region0) + kBackfillWord,
                           __ATOMIC_ACQUIRE);
}

}  // namespace litestream
