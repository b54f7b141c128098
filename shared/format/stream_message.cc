#include "shared/format/stream_message.h"

#include <algorithm>
#include <limits>

#include "shared/base/text.h"
#include "shared/format/stream_record.h"
#include "shared/format/wal.h"

namespace litestream {
namespace {

constexpr std::uint64_t kMaxOffset = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kHelloSize = kPositionSize;
constexpr std::size_t kWelcomeSize = 8 + kPositionSize + 4 + 4;
constexpr std::size_t kHeartbeatSize = 8 + kPositionSize;
constexpr std::size_t kAckSize = 3 * kPositionSize;
constexpr std::uint32_t kSendsSnapshot = 1;

struct SizeRange {
    std::uint64_t least = 0;
    std::uint64_t most = 0;
};

SizeRange size_range(MessageType type) {
    switch (type) {
        case MessageType::kHello:
            return {kHelloSize, kHelloSize};
        case MessageType::kWelcome:
            return {kWelcomeSize, kWelcomeSize};
        case MessageType::kSnapshot:
            return {4, 4 + kWalHeaderSize + kMaxSnapshotPayload};
        case MessageType::kSegment:
            return {kPositionSize, kPositionSize + kMaxSegmentPayload};
        case MessageType::kHeartbeat:
            return {kHeartbeatSize, kHeartbeatSize};
        case MessageType::kAck:
            return {kAckSize, kAckSize};
        case MessageType::kError:
            return {0, kMaxErrorText};
        case MessageType::kAlive:
            return {0, 0};
    }
    return {};
}

bool is_type(std::uint32_t type) {
    return type >= static_cast<std::uint32_t>(MessageType::kHello) &&
           type <= static_cast<std::uint32_t>(MessageType::kAlive);
}

void append_u32(Bytes& out, std::uint32_t value) {
    std::uint8_t text[4];
    store_be32(text, value);
    out.insert(out.end(), text, text + sizeof text);
}

void append_u64(Bytes& out, std::uint64_t value) {
    std::uint8_t text[8];
    store_be64(text, value);
    out.insert(out.end(), text, text + sizeof text);
}

Bytes message(MessageType type, std::uint64_t size_bytes) {
    Bytes out;
    MessageHeader{type, size_bytes}.append_to(out);
    return out;
}

Status check_size(ByteView body, std::size_t size_bytes, const char* name) {
    if (body.size() == size_bytes) return {};
    return corrupt(std::string("stream message: ") + name + " of " + std::to_string(body.size()) + " bytes");
}

std::int64_t load_time(ByteView bytes) { return static_cast<std::int64_t>(load_be64(bytes.data())); }

}  // namespace

void MessageHeader::append_to(Bytes& out) const {
    append_u32(out, static_cast<std::uint32_t>(type));
    append_u32(out, 0);
    append_u64(out, size_bytes);
}

Result<MessageHeader> MessageHeader::decode(ByteView header) {
    if (header.size() != kMessageHeaderSize) {
        return corrupt("stream message: a header of " + std::to_string(header.size()) + " bytes");
    }
    const std::uint32_t type = load_be32(header.data());
    if (!is_type(type)) return corrupt("stream message: unknown type " + std::to_string(type));
    if (load_be32(header.data() + 4) != 0) return corrupt("stream message: reserved bytes are not zero");
    MessageHeader decoded{static_cast<MessageType>(type), load_be64(header.data() + 8)};
    const SizeRange range = size_range(decoded.type);
    if (decoded.size_bytes < range.least || decoded.size_bytes > range.most) {
        return corrupt("stream message: type " + std::to_string(type) + " with a length of " +
                       std::to_string(decoded.size_bytes));
    }
    return decoded;
}

void append_position(Bytes& out, const Position& position) {
    if (position.empty()) {
        out.insert(out.end(), kPositionSize, 0);
        return;
    }
    append_u64(out, generation_number(position.generation));
    append_u64(out, position.index);
    append_u64(out, position.offset);
}

Result<Position> decode_position(ByteView bytes) {
    LITESTREAM_TRY(check_size(bytes, kPositionSize, "position"));
    const std::uint64_t generation = load_be64(bytes.data());
    const std::uint64_t index = load_be64(bytes.data() + 8);
    const std::uint64_t offset = load_be64(bytes.data() + 16);
    if (generation == 0 && index == 0 && offset == 0) return Position();
    if (generation == 0) return corrupt("stream message: position without a generation");
    if (index > kMaxIndex) return corrupt("stream message: index " + std::to_string(index) + " is too large");
    if (offset > kMaxOffset) {
        return corrupt("stream message: offset " + std::to_string(offset) + " is too large");
    }
    return Position{to_hex16(generation), index, offset};
}

Bytes Hello::encode() const {
    Bytes out = message(MessageType::kHello, kHelloSize);
    append_position(out, position);
    return out;
}

Result<Hello> Hello::decode(ByteView body) {
    LITESTREAM_TRY(check_size(body, kHelloSize, "hello"));
    LITESTREAM_ASSIGN(Position position, decode_position(body));
    return Hello{std::move(position)};
}

Bytes Welcome::encode() const {
    Bytes out = message(MessageType::kWelcome, kWelcomeSize);
    append_u64(out, static_cast<std::uint64_t>(time_ms));
    append_position(out, end);
    append_u32(out, page_size);
    append_u32(out, sends_snapshot ? kSendsSnapshot : 0);
    return out;
}

Result<Welcome> Welcome::decode(ByteView body) {
    LITESTREAM_TRY(check_size(body, kWelcomeSize, "welcome"));
    Welcome welcome;
    welcome.time_ms = load_time(body);
    LITESTREAM_ASSIGN(welcome.end, decode_position(body.subspan(8, kPositionSize)));
    welcome.page_size = load_be32(body.data() + 8 + kPositionSize);
    const std::uint32_t flags = load_be32(body.data() + 12 + kPositionSize);
    if (welcome.page_size != 0 && !is_page_size(welcome.page_size)) {
        return corrupt("stream message: page size " + std::to_string(welcome.page_size));
    }
    if (flags > kSendsSnapshot) return corrupt("stream message: unknown flags " + std::to_string(flags));
    welcome.sends_snapshot = flags == kSendsSnapshot;
    return welcome;
}

Bytes Heartbeat::encode() const {
    Bytes out = message(MessageType::kHeartbeat, kHeartbeatSize);
    append_u64(out, static_cast<std::uint64_t>(time_ms));
    append_position(out, end);
    return out;
}

Result<Heartbeat> Heartbeat::decode(ByteView body) {
    LITESTREAM_TRY(check_size(body, kHeartbeatSize, "heartbeat"));
    Heartbeat heartbeat;
    heartbeat.time_ms = load_time(body);
    LITESTREAM_ASSIGN(heartbeat.end, decode_position(body.subspan(8)));
    return heartbeat;
}

Bytes Ack::encode() const {
    Bytes out = message(MessageType::kAck, kAckSize);
    for (const Position* position : {&received, &durable, &applied}) append_position(out, *position);
    return out;
}

Result<Ack> Ack::decode(ByteView body) {
    LITESTREAM_TRY(check_size(body, kAckSize, "acknowledgement"));
    Ack ack;
    LITESTREAM_ASSIGN(ack.received, decode_position(body.first(kPositionSize)));
    LITESTREAM_ASSIGN(ack.durable, decode_position(body.subspan(kPositionSize, kPositionSize)));
    LITESTREAM_ASSIGN(ack.applied, decode_position(body.subspan(2 * kPositionSize)));
    return ack;
}

Bytes encode_error(const std::string& text) {
    const ByteView cut = as_bytes(text).first(std::min(text.size(), kMaxErrorText));
    Bytes out = message(MessageType::kError, cut.size());
    out.insert(out.end(), cut.begin(), cut.end());
    return out;
}

}  // namespace litestream
