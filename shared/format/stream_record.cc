#include "shared/format/stream_record.h"

#include <limits>

#include "shared/base/text.h"

namespace litestream {
namespace {

constexpr std::uint64_t kMaxOffset = std::numeric_limits<std::int64_t>::max();

std::uint64_t size_limit(StreamRecord::Type type) {
    return type == StreamRecord::Type::kSnapshot ? kMaxSnapshotPayload : kMaxSegmentPayload;
}

Error record_error(const std::string& what, std::uint64_t value, const std::string& why) {
    return corrupt("stream record: " + what + " " + std::to_string(value) + why);
}

}  // namespace

// Unlike an index or an offset, a generation uses all 64 bits.
std::uint64_t generation_number(const std::string& generation) {
    if (!is_generation_name(generation)) return 0;
    std::uint64_t value = 0;
    for (const char digit : generation) {
        value = value << 4 | static_cast<std::uint64_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
    }
    return value;
}

std::array<std::uint8_t, kRecordHeaderSize> StreamRecord::encode() const {
    std::array<std::uint8_t, kRecordHeaderSize> out = {};
    store_be32(out.data(), static_cast<std::uint32_t>(type));
    store_be64(out.data() + 8, generation_number(position.generation));
    store_be64(out.data() + 16, position.index);
    store_be64(out.data() + 24, position.offset);
    store_be64(out.data() + 32, size_bytes);
    return out;
}

Result<StreamRecord> StreamRecord::decode(ByteView header) {
    if (header.size() != kRecordHeaderSize) {
        return record_error("a header of", header.size(), " bytes instead of 40");
    }
    const std::uint32_t type = load_be32(header.data());
    if (type != 1 && type != 2) return record_error("unknown type", type, "");
    StreamRecord record;
    record.type = static_cast<Type>(type);
    record.position.generation = to_hex16(load_be64(header.data() + 8));
    record.position.index = load_be64(header.data() + 16);
    record.position.offset = load_be64(header.data() + 24);
    record.size_bytes = load_be64(header.data() + 32);
    if (record.position.index > kMaxIndex)
        return record_error("index", record.position.index, " is too large");
    if (record.position.offset > kMaxOffset) {
        return record_error("offset", record.position.offset, " is too large");
    }
    const std::uint64_t limit = size_limit(record.type);
    if (record.size_bytes > limit) {
        return record_error("length", record.size_bytes, " is beyond " + std::to_string(limit));
    }
    return record;
}

}  // namespace litestream
