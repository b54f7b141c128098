#include "shared/format/trailer.h"

#include "shared/base/crc32.h"
#include "tests/fuzz/check.h"

using namespace litestream;

namespace {

// One spelling for each value: what decodes encodes to the same bytes.
void check(ByteView bytes) {
    const auto trailer = Trailer::decode(bytes);
    if (!trailer) return;
    const Bytes again = trailer->encode();
    claim(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
    claim(!trailer->commits.empty() && trailer->commits.back().end_offset == trailer->end_offset);
}

// No mutation finds a CRC by chance: make frame, sizes and CRC right, so that the values are reached.
Bytes repaired(Bytes bytes) {
    const auto size = static_cast<std::uint32_t>(bytes.size());
    store_le32(bytes.data(), 0x184D2A5E);
    store_le32(bytes.data() + 4, size - 8);
    store_be32(bytes.data() + size - 8, crc32(0, ByteView(bytes).subspan(8, size - 16)));
    store_be32(bytes.data() + size - 4, size);
    return bytes;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    check({data, size});
    if (size >= 16) check(repaired(Bytes(data, data + size)));
    return 0;
}
