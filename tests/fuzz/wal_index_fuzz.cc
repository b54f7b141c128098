#include "vfs/wal_index.h"

#include <algorithm>

#include "tests/fuzz/check.h"

using namespace litestream;

namespace {

constexpr std::size_t kCopySize = 48;
constexpr std::size_t kSumAt = 40;
constexpr std::size_t kHeaderSize = 136;

std::uint32_t native(const std::uint8_t* bytes) {
    std::uint32_t value = 0;
    std::copy_n(bytes, sizeof value, reinterpret_cast<std::uint8_t*>(&value));
    return value;
}

std::optional<WalIndexHeader> check(const Bytes& bytes) {
    alignas(std::uint32_t) std::uint8_t region[kHeaderSize];
    std::ranges::copy(bytes, region);
    (void)read_backfilled_frames(region);
    const auto header = read_wal_index_header(region);
    if (!header) return std::nullopt;
    claim(std::equal(region, region + kCopySize, region + kCopySize));
    claim(header->frame_count == native(region + 16) && header->page_count == native(region + 20));
    return header;
}

}  // namespace

// As it is, and with two equal copies whose version, mark and checksum are right.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Bytes bytes(data, data + std::min(size, kHeaderSize));
    bytes.resize(kHeaderSize);
    (void)check(bytes);
    const std::uint32_t version = 3007000;
    std::copy_n(reinterpret_cast<const std::uint8_t*>(&version), sizeof version, bytes.begin());
    bytes[12] = 1;
    const std::uint16_t one = 1;
    const bool is_little = *reinterpret_cast<const std::uint8_t*>(&one) == 1;
    const WalChecksum sum =
        wal_checksum({}, ByteView(bytes).first(kSumAt), is_little ? WordOrder::kLittle : WordOrder::kBig);
    std::copy_n(reinterpret_cast<const std::uint8_t*>(&sum.s0), 4, bytes.begin() + kSumAt);
    std::copy_n(reinterpret_cast<const std::uint8_t*>(&sum.s1), 4, bytes.begin() + kSumAt + 4);
    std::copy_n(bytes.begin(), kCopySize, bytes.begin() + kCopySize);
    claim(check(bytes).has_value());
    return 0;
}
