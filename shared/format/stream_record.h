// The records of a Litestream e6f7c60 /stream body (formats of that release, section 6.1): a header of 40
// bytes, all big-endian, then the payload. Reentrant.
//
//   0 type     u32  1 snapshot, 2 WAL segment
//   4 flags    u32  0, not looked at
//   8 generation u64, 16 index u64, 24 offset u64, 32 payload length u64
//
// A snapshot's payload is the database file as it is; a segment's is the stored .wal.lz4 file.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "shared/base/bytes.h"
#include "shared/base/result.h"
#include "shared/format/position.h"

namespace litestream {

constexpr std::size_t kRecordHeaderSize = 40;
constexpr std::uint64_t kMaxSegmentPayload = std::uint64_t{8} << 30;
constexpr std::uint64_t kMaxSnapshotPayload = std::uint64_t{1} << 48;

// The 16 digits as the integer that goes over the wire; what is no generation's name is 0. to_hex16() is the
// inverse.
std::uint64_t generation_number(const std::string& generation);

struct StreamRecord {
    enum class Type : std::uint32_t { kSnapshot = 1, kSegment = 2 };
    Type type = Type::kSegment;
    Position position;  // of its start
    std::uint64_t size_bytes = 0;

    std::array<std::uint8_t, kRecordHeaderSize> encode() const;
    // kCorrupt names the field: "stream record: unknown type 7", "stream record: length 123456... is beyond
    // ..".
    static Result<StreamRecord> decode(ByteView header);  // exactly 40 bytes
};

}  // namespace litestream
