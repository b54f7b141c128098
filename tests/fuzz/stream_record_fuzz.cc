#include "shared/format/stream_record.h"

#include "tests/fuzz/check.h"

using namespace litestream;

// What decodes encodes to the same bytes, but for the flags, and keeps the limits.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto record = StreamRecord::decode({data, size});
    if (!record) return 0;
    const auto again = record->encode();
    claim(std::equal(again.begin(), again.begin() + 4, data));
    claim(std::equal(again.begin() + 8, again.end(), data + 8, data + size));
    claim(record->size_bytes <= kMaxSnapshotPayload && record->position.index <= kMaxIndex);
    return 0;
}
