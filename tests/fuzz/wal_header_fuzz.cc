#include "shared/format/wal.h"
#include "tests/fuzz/check.h"

using namespace litestream;

namespace {

// One spelling for each value: what decodes encodes to the same bytes.
void check(ByteView bytes) {
    const auto header = WalHeader::decode(bytes);
    if (!header) return;
    claim(is_page_size(header->page_size));
    const auto again = header->encode();
    claim(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
}

// The same bytes with a checksum that is right, in the order that the magic number names.
Bytes repaired(Bytes bytes) {
    const WordOrder order = (bytes[3] & 1) != 0 ? WordOrder::kBig : WordOrder::kLittle;
    const WalChecksum checksum = wal_checksum({}, ByteView(bytes).first(24), order);
    store_be32(bytes.data() + 24, checksum.s0);
    store_be32(bytes.data() + 28, checksum.s1);
    return bytes;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    check({data, size});
    if (size == kWalHeaderSize) check(repaired(Bytes(data, data + size)));
    if (size < kFrameHeaderSize) return 0;
    std::uint8_t again[kFrameHeaderSize];
    FrameHeader::decode(data).encode(again);
    claim(std::equal(again, again + sizeof again, data));
    return 0;
}
