// The messages of liblitestream/1, which both sides speak once a /stream request was answered with 101. All
// numbers big-endian; a position is 24 bytes: generation u64, index u64, offset u64, all zero: none.
// Reentrant.
//
//   header, 16 bytes: type u32, zero u32, length u64 of what follows
//   1 hello      client: position (where it is)
//   2 welcome    server: wall clock i64 ms, position (its end), page size u32, flags u32 (1: a snapshot
//   follows;
//                else the position asked for is where it goes on)
//   3 snapshot   server: header size u32 (0 or 32), the WAL header of its index, then the payload as stored:
//                lz4 and trailer
//   4 segment    server: position of its start, then the payload as stored (offset 0: the WAL header alone)
//   5 heartbeat  server: wall clock i64 ms, position (its end)
//   6 ack        client: three positions: received, durable, applied
//   7 error      server: text for people, at most 1 KiB; it closes then
//   8 go on      none: 0 bytes; either side may send it to show that it lives
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shared/base/bytes.h"
#include "shared/base/result.h"
#include "shared/format/position.h"

namespace litestream {

constexpr const char* kStreamProtocol = "liblitestream/1";
constexpr std::size_t kMessageHeaderSize = 16;
constexpr std::size_t kPositionSize = 24;
constexpr std::size_t kMaxErrorText = 1024;

enum class MessageType : std::uint32_t {
    kHello = 1,
    kWelcome = 2,
    kSnapshot = 3,
    kSegment = 4,
    kHeartbeat = 5,
    kAck = 6,
    kError = 7,
    kAlive = 8,
};

struct MessageHeader {
    MessageType type = MessageType::kAlive;
    std::uint64_t size_bytes = 0;  // behind the header

    void append_to(Bytes& out) const;
    // Exactly 16 bytes. kCorrupt: unknown type, or a length that its type cannot have.
    static Result<MessageHeader> decode(ByteView header);
};

void append_position(Bytes& out, const Position& position);
Result<Position> decode_position(ByteView bytes);  // exactly 24 bytes

// Bodies of a fixed form. encode() gives header and body; decode() takes the body alone.
struct Hello {
    Position position;
    Bytes encode() const;
    static Result<Hello> decode(ByteView body);
};
struct Welcome {
    std::int64_t time_ms = 0;
    Position end;
    std::uint32_t page_size = 0;
    bool sends_snapshot = false;
    Bytes encode() const;
    static Result<Welcome> decode(ByteView body);
};
struct Heartbeat {
    std::int64_t time_ms = 0;
    Position end;
    Bytes encode() const;
    static Result<Heartbeat> decode(ByteView body);
};
struct Ack {
    Position received, durable, applied;
    Bytes encode() const;
    static Result<Ack> decode(ByteView body);
};
Bytes encode_error(const std::string& text);

}  // namespace litestream
