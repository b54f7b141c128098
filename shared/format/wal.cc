#include "shared/format/wal.h"

#include <algorithm>
#include <bit>

namespace litestream {
namespace {

constexpr std::uint32_t kMagicLittle = 0x377f0682;
constexpr std::uint32_t kMagicBig = 0x377f0683;
constexpr std::size_t kHeaderSummed = 24;  // the bytes of the WAL header that its checksum covers
constexpr std::size_t kFrameSummed = 8;    // likewise of a frame header

WalChecksum load_checksum(const std::uint8_t* p) { return {load_be32(p), load_be32(p + 4)}; }

void store_checksum(std::uint8_t* p, WalChecksum sum) {
    store_be32(p, sum.s0);
    store_be32(p + 4, sum.s1);
}

}  // namespace

bool is_page_size(std::uint32_t page_size) {
    return page_size >= 512 && page_size <= 65536 && std::has_single_bit(page_size);
}

std::array<std::uint8_t, kWalHeaderSize> WalHeader::encode() const {
    std::array<std::uint8_t, kWalHeaderSize> out = {};
    store_be32(&out[0], word_order == WordOrder::kBig ? kMagicBig : kMagicLittle);
    store_be32(&out[4], kWalVersion);
    store_be32(&out[8], page_size);
    store_be32(&out[12], checkpoint_sequence);
    std::copy(salts.begin(), salts.end(), &out[16]);
    store_checksum(&out[24], wal_checksum({}, ByteView(out).first(kHeaderSummed), word_order));
    return out;
}

Result<WalHeader> WalHeader::decode(ByteView bytes) {
    if (bytes.size() != kWalHeaderSize) return corrupt("WAL header: not 32 bytes long");
    const std::uint8_t* in = bytes.data();
    const std::uint32_t magic = load_be32(in);
    if (magic != kMagicLittle && magic != kMagicBig) return corrupt("WAL header: wrong magic number");
    if (load_be32(in + 4) != kWalVersion) return corrupt("WAL header: unknown version");
    WalHeader header;
    header.word_order = magic == kMagicBig ? WordOrder::kBig : WordOrder::kLittle;
    header.page_size = load_be32(in + 8);
    header.checkpoint_sequence = load_be32(in + 12);
    std::copy_n(in + 16, header.salts.size(), header.salts.begin());
    header.checksum = load_checksum(in + 24);
    if (!is_page_size(header.page_size)) return corrupt("WAL header: invalid page size");
    if (header.checksum != wal_checksum({}, bytes.first(kHeaderSummed), header.word_order)) {
        return corrupt("WAL header: checksum does not match");
    }
    return header;
}

void FrameHeader::encode(std::uint8_t* out) const {
    store_be32(out, page_no);
    store_be32(out + 4, commit_pages);
    std::copy(salts.begin(), salts.end(), out + 8);
    store_checksum(out + 16, checksum);
}

FrameHeader FrameHeader::decode(const std::uint8_t* in) {
    FrameHeader header;
    header.page_no = load_be32(in);
    header.commit_pages = load_be32(in + 4);
    std::copy_n(in + 8, header.salts.size(), header.salts.begin());
    header.checksum = load_checksum(in + 16);
    return header;
}

WalChecksum frame_checksum(WalChecksum previous, const std::uint8_t* header, ByteView page, WordOrder order) {
    return wal_checksum(wal_checksum(previous, {header, kFrameSummed}, order), page, order);
}

}  // namespace litestream
