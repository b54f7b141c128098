// MessageFollower: the conversation in liblitestream/1 (shared/format/stream_message.h), from our hello on.
//
//   hello -> welcome -> [snapshot] -> segment | heartbeat | go on ... -> error, or the end
//
// An acknowledgement goes out when something was applied and nothing more waits to be read, at most every
// `ack_ms` while more keeps coming, and as the answer to each heartbeat. Where there is none for `alive_ms`,
// within a long payload say, the server hears "go on".
//
// Thread-bound: the follower's thread.
#pragma once

#include <cstdint>
#include <optional>

#include "shared/format/stream_message.h"
#include "shared/stream/stream_context.h"

namespace litestream {

class MessageFollower {
  public:
    explicit MessageFollower(StreamContext& context);
    // Until the connection ends; why.
    Error run();

  private:
    Status greet();
    Status take_welcome(const MessageHeader& header);
    Result<MessageHeader> next_message();
    Result<StreamInput::Came> wait_for_header(ByteSpan header);
    Status take(const MessageHeader& message);
    Status take_snapshot(const MessageHeader& message);
    Status take_segment(const MessageHeader& message);
    Status take_heartbeat(const MessageHeader& message);
    Error take_error(const MessageHeader& message);
    Result<Bytes> read_body(const MessageHeader& message);
    Status moved();
    Status acknowledge();
    Status write(ByteView bytes);
    Status stay_alive();

    StreamContext& context_;
    StreamInput input_;
    bool expects_snapshot_ = false;
    bool owes_ack_ = false;
    std::int64_t acknowledged_ms_ = 0;  // steady clock
    std::int64_t written_ms_ = 0;       // likewise
};

}  // namespace litestream
