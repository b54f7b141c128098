#include "shared/format/checksum.h"

#include <bit>
#include <cstring>

namespace litestream {
namespace {

constexpr std::size_t kPair = 8;
constexpr std::size_t kUnrolled = 64;

template <bool kSwap>
std::uint32_t load_word(const std::uint8_t* p) {
    std::uint32_t word;
    std::memcpy(&word, p, sizeof word);
    return kSwap ? __builtin_bswap32(word) : word;
}

template <bool kSwap>
void add_pair(WalChecksum& sum, const std::uint8_t* p) {
    sum.s0 += load_word<kSwap>(p) + sum.s1;
    sum.s1 += load_word<kSwap>(p + 4) + sum.s0;
}

template <bool kSwap>
WalChecksum sum_up(WalChecksum sum, ByteView bytes) {
    const std::uint8_t* p = bytes.data();
    std::size_t rest = bytes.size();
    for (; rest >= kUnrolled; rest -= kUnrolled, p += kUnrolled) {
        add_pair<kSwap>(sum, p);
        add_pair<kSwap>(sum, p + 8);
        add_pair<kSwap>(sum, p + 16);
        add_pair<kSwap>(sum, p + 24);
        add_pair<kSwap>(sum, p + 32);
        add_pair<kSwap>(sum, p + 40);
        add_pair<kSwap>(sum, p + 48);
        add_pair<kSwap>(sum, p + 56);
    }
    for (; rest >= kPair; rest -= kPair, p += kPair) add_pair<kSwap>(sum, p);
    return sum;
}

}  // namespace

WalChecksum wal_checksum(WalChecksum seed, ByteView bytes, WordOrder order) {
    const bool is_native = (order == WordOrder::kLittle) == (std::endian::native == std::endian::little);
    return is_native ? sum_up<false>(seed, bytes) : sum_up<true>(seed, bytes);
}

}  // namespace litestream
