#include "shared/stream/message_follower.h"

#include <algorithm>
#include <array>
#include <utility>

#include "shared/base/clock.h"
#include "shared/base/text.h"
#include "shared/stream/stream_request.h"

namespace litestream {
namespace {

constexpr const char* kMessage = "a message";
constexpr std::size_t kHeaderSizeField = 4;

Error out_of_turn(const char* what) {
    return corrupt(std::string("stream message: ") + what + " out of turn");
}

}  // namespace

MessageFollower::MessageFollower(StreamContext& context)
    : context_(context), input_(context.wire, context.source.limits.silence_ms) {
    input_.set_before_wait([this] { return stay_alive(); });
}

Error MessageFollower::run() {
    LITESTREAM_TRY(greet());
    for (;;) {
        LITESTREAM_ASSIGN(const MessageHeader message, next_message());
        LITESTREAM_TRY(take(message));
    }
}

Status MessageFollower::greet() {
    LITESTREAM_TRY(write(Hello{context_.feed.state().position}.encode()));
    LITESTREAM_ASSIGN(const MessageHeader message, next_message());
    if (message.type == MessageType::kError) return take_error(message);
    if (message.type != MessageType::kWelcome) return out_of_turn("something before the welcome");
    LITESTREAM_TRY(take_welcome(message));
    return expects_snapshot_ ? Status() : context_.tell_progress();
}

Status MessageFollower::take_welcome(const MessageHeader& message) {
    LITESTREAM_ASSIGN(const Bytes body, read_body(message));
    LITESTREAM_ASSIGN(Welcome welcome, Welcome::decode(body));
    LITESTREAM_TRY(check_page_size(context_.replica_page_size, welcome.page_size));
    expects_snapshot_ = welcome.sends_snapshot;
    if (!expects_snapshot_ && context_.feed.state().position.empty()) {
        return corrupt("the server begins without a snapshot");
    }
    context_.update([&](StreamProgress& progress) {
        progress.upstream_end = std::move(welcome.end);
        progress.upstream_clock_ms = welcome.time_ms;
    });
    return {};
}

Result<MessageHeader> MessageFollower::next_message() {
    std::array<std::uint8_t, kMessageHeaderSize> header = {};
    LITESTREAM_ASSIGN(const auto came, wait_for_header(header));
    if (came == StreamInput::Came::kEnd) return Error{ErrorCode::kIo, "the server ended the stream"};
    context_.update([](StreamProgress& progress) { progress.heard_ms = wall_clock_ms(); });
    return MessageHeader::decode(header);
}

Result<StreamInput::Came> MessageFollower::wait_for_header(ByteSpan header) {
    const StreamLimits& limits = context_.source.limits;
    const std::int64_t begun_ms = steady_clock_ms();
    if (owes_ack_) {
        LITESTREAM_ASSIGN(const auto came, input_.read_header(header, 0));
        const bool is_time = steady_clock_ms() - acknowledged_ms_ >= limits.ack_ms;
        const bool is_due =
            came == StreamInput::Came::kHeader ? is_time : came == StreamInput::Came::kNothing;
        if (is_due) LITESTREAM_TRY(acknowledge());
        if (came != StreamInput::Came::kNothing) return came;
    }
    for (;;) {
        const std::int64_t now_ms = steady_clock_ms();
        const std::int64_t left_ms = begun_ms + limits.silence_ms - now_ms;
        const std::int64_t wait_ms = std::min(left_ms, written_ms_ + limits.alive_ms - now_ms);
        LITESTREAM_ASSIGN(const auto came, input_.read_header(header, std::max<std::int64_t>(wait_ms, 0)));
        if (came != StreamInput::Came::kNothing) return came;
        if (left_ms <= 0) {
            return Error{ErrorCode::kBusy, "nothing came for " + format_duration(limits.silence_ms)};
        }
    }
}

Status MessageFollower::take(const MessageHeader& message) {
    switch (message.type) {
        case MessageType::kSnapshot:
            return take_snapshot(message);
        case MessageType::kSegment:
            return take_segment(message);
        case MessageType::kHeartbeat:
            return take_heartbeat(message);
        case MessageType::kError:
            return take_error(message);
        case MessageType::kAlive:
            return context_.tell_progress();
        case MessageType::kHello:
        case MessageType::kWelcome:
        case MessageType::kAck:
            break;
    }
    return out_of_turn("what no server says now");
}

Status MessageFollower::take_snapshot(const MessageHeader& message) {
    if (!std::exchange(expects_snapshot_, false)) return out_of_turn("a snapshot");
    std::array<std::uint8_t, kHeaderSizeField> field = {};
    LITESTREAM_TRY(input_.read_exactly(field, kMessage));
    const std::uint32_t header_size = load_be32(field.data());
    const std::uint64_t rest = message.size_bytes - field.size();
    if ((header_size != 0 && header_size != kWalHeaderSize) || header_size > rest) {
        return corrupt("stream message: a WAL header of " + std::to_string(header_size) + " bytes");
    }
    Bytes wal_header(header_size);
    LITESTREAM_TRY(input_.read_exactly(wal_header, kMessage));
    PayloadSource payload(input_, rest - header_size, "a snapshot");
    LITESTREAM_TRY(payload_result(payload, context_.feed.take_snapshot(payload, wal_header)));
    LITESTREAM_TRY(payload.skip_rest());
    context_.update([](StreamProgress& progress) { progress.snapshots++; });
    return moved();
}

Status MessageFollower::take_segment(const MessageHeader& message) {
    if (expects_snapshot_) return out_of_turn("a segment before the snapshot");
    std::array<std::uint8_t, kPositionSize> field = {};
    LITESTREAM_TRY(input_.read_exactly(field, kMessage));
    LITESTREAM_ASSIGN(const Position start, decode_position(field));
    if (start.generation != context_.feed.state().position.generation) {
        return corrupt("segment " + start.to_string() + " is of another generation than " +
                       context_.feed.state().position.to_string());
    }
    PayloadSource payload(input_, message.size_bytes - field.size(), "a segment");
    LITESTREAM_TRY(payload_result(
        payload, context_.feed.take_segment(start.generation, start.index, start.offset, payload, 0)));
    LITESTREAM_TRY(payload.skip_rest());
    return moved();
}

Status MessageFollower::take_heartbeat(const MessageHeader& message) {
    LITESTREAM_ASSIGN(const Bytes body, read_body(message));
    LITESTREAM_ASSIGN(Heartbeat heartbeat, Heartbeat::decode(body));
    context_.update([&](StreamProgress& progress) {
        progress.upstream_end = std::move(heartbeat.end);
        progress.upstream_clock_ms = heartbeat.time_ms;
    });
    owes_ack_ = true;
    return context_.tell_progress();
}

Error MessageFollower::take_error(const MessageHeader& message) {
    LITESTREAM_ASSIGN(const Bytes body, read_body(message));
    return {ErrorCode::kIo, "the server says: " + printable_line(body)};
}

// Only of messages whose length has a small limit.
Result<Bytes> MessageFollower::read_body(const MessageHeader& message) {
    Bytes body(static_cast<std::size_t>(message.size_bytes));
    LITESTREAM_TRY(input_.read_exactly(body, kMessage));
    return body;
}

Status MessageFollower::moved() {
    owes_ack_ = true;
    const Position& now = context_.feed.state().position;
    context_.update([&](StreamProgress& progress) {
        const Position& end = progress.upstream_end;
        if (end.generation != now.generation || end.before(now)) progress.upstream_end = now;
    });
    return context_.tell_progress();
}

Status MessageFollower::acknowledge() {
    const Position& now = context_.feed.state().position;
    owes_ack_ = false;
    acknowledged_ms_ = steady_clock_ms();
    return write(Ack{now, now, now}.encode());
}

Status MessageFollower::write(ByteView bytes) {
    written_ms_ = steady_clock_ms();
    return context_.wire.write(bytes);
}

Status MessageFollower::stay_alive() {
    if (written_ms_ == 0 || steady_clock_ms() - written_ms_ < context_.source.limits.alive_ms) return {};
    Bytes message;
    MessageHeader{MessageType::kAlive, 0}.append_to(message);
    return write(message);
}

}  // namespace litestream
