#include "shared/format/trailer.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "shared/base/crc32.h"
#include "shared/base/text.h"

namespace litestream {
namespace {

constexpr std::uint32_t kSkippableMagic = 0x184D2A5E;
constexpr std::size_t kSkippableHeaderSize = 8;
constexpr std::size_t kTailSize = 8;  // CRC and size
constexpr std::array<std::uint8_t, 5> kMark = {'L', 'S', 'T', 'R', 1};
constexpr std::size_t kMinCommitSize = 2;
constexpr std::size_t kUsualVarintSize = 4;
constexpr std::size_t kMaxVarintSize = 9;  // 63 bits: no offset or time has more
constexpr std::uint64_t kMaxOffset = std::numeric_limits<std::int64_t>::max();

class Encoder {
  public:
    void bytes(ByteView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
    void byte(std::uint8_t value) { out_.push_back(value); }
    void u32(std::uint32_t value) {
        std::uint8_t text[4];
        store_be32(text, value);
        bytes(text);
    }
    void u64(std::uint64_t value) {
        u32(static_cast<std::uint32_t>(value >> 32));
        u32(static_cast<std::uint32_t>(value));
    }
    void checksum(WalChecksum sum) {
        u32(sum.s0);
        u32(sum.s1);
    }
    void generation(const std::string& name) {
        const auto value = parse_hex_64(name);
        u64(value);
    }
    void varint(std::uint64_t value) {
        for (; value >= 0x80; value >>= 7) byte(static_cast<std::uint8_t>(value | 0x80));
        byte(static_cast<std::uint8_t>(value));
    }
    Bytes& out() { return out_; }

  private:
    // Unlike an index or offset a generation uses all 64 bits.
    static std::uint64_t parse_hex_64(std::string_view name) {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < name.size(); i += 8) {
            const auto half = parse_hex(name.substr(i, 8), "generation");
            value = value << 32 | (half ? *half : 0);
        }
        return value;
    }
    Bytes out_;
};

// Takes values from the front of bytes whose length has been checked, but for varints, which say 'no'.
class Decoder {
  public:
    explicit Decoder(ByteView bytes) : rest_(bytes) {}
    std::size_t size() const { return rest_.size(); }
    ByteView bytes(std::size_t size) {
        const ByteView taken = rest_.first(size);
        rest_ = rest_.subspan(size);
        return taken;
    }
    std::uint8_t byte() { return bytes(1)[0]; }
    std::uint32_t u32() { return load_be32(bytes(4).data()); }
    std::uint64_t u64() { return load_be64(bytes(8).data()); }
    WalChecksum checksum() {
        const std::uint32_t s0 = u32();
        return {s0, u32()};
    }
    // Only the shortest spelling of a value that a position or time can have.
    std::optional<std::uint64_t> varint() {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < kMaxVarintSize && !rest_.empty(); i++) {
            const std::uint8_t next = byte();
            value |= std::uint64_t{next & 0x7Fu} << (7 * i);
            if (next >= 0x80) continue;
            if (next == 0 && i > 0) return std::nullopt;
            return value;
        }
        return std::nullopt;
    }

  private:
    ByteView rest_;
};

void encode_commits(Encoder& out, const Trailer& trailer) {
    std::uint64_t end_offset = trailer.start_offset;
    std::int64_t time_ms = 0;
    for (const Commit& commit : trailer.commits) {
        out.varint(commit.end_offset - std::exchange(end_offset, commit.end_offset));
        // A wall clock that was set back must not make a trailer that nobody can read.
        const std::int64_t later_ms = std::max(commit.time_ms, time_ms);
        out.varint(static_cast<std::uint64_t>(later_ms - std::exchange(time_ms, later_ms)));
    }
}

Status decode_commits(Decoder& in, std::uint32_t count, Trailer& trailer) {
    if (count == 0) return corrupt("trailer: no commits");
    if (count > in.size() / kMinCommitSize) return corrupt("trailer: more commits than bytes");
    trailer.commits.reserve(count);
    Commit commit = {trailer.start_offset, 0};
    for (std::uint32_t i = 0; i < count; i++) {
        const auto length = in.varint();
        const auto time_ms = in.varint();
        if (!length || !time_ms) return corrupt("trailer: malformed commit");
        if (*length > trailer.end_offset - commit.end_offset)
            return corrupt("trailer: commit past the end offset");
        if (*length == 0 && trailer.kind == Trailer::Kind::kSegment)
            return corrupt("trailer: commit of no length");
        constexpr std::int64_t kLatest = std::numeric_limits<std::int64_t>::max();
        if (*time_ms > static_cast<std::uint64_t>(kLatest - commit.time_ms))
            return corrupt("trailer: invalid time");
        commit.end_offset += *length;
        commit.time_ms += static_cast<std::int64_t>(*time_ms);
        trailer.commits.push_back(commit);
    }
    if (commit.end_offset != trailer.end_offset) return corrupt("trailer: commits end before the end offset");
    if (in.size() != 0) return corrupt("trailer: bytes behind the commits");
    return {};
}

// What holds between the values, whatever they are.
Status check_values(const Trailer& trailer, std::uint32_t commit_count) {
    const bool is_snapshot = trailer.kind == Trailer::Kind::kSnapshot;
    if (trailer.index > kMaxIndex) return corrupt("trailer: index too large");
    if (trailer.end_offset > kMaxOffset || trailer.previous_end > kMaxOffset) {
        return corrupt("trailer: offset too large");
    }
    if (is_snapshot && trailer.start_offset != trailer.end_offset) {
        return corrupt("trailer: snapshot with two offsets");
    }
    if (!is_snapshot && trailer.start_offset >= trailer.end_offset) {
        return corrupt("trailer: end offset not behind start offset");
    }
    if (!is_page_size(trailer.page_size)) return corrupt("trailer: invalid page size");
    if (is_snapshot && commit_count != 1) return corrupt("trailer: snapshot without its one commit");
    return {};
}

// The frame around the values: magic, sizes, CRC, mark. Gives the values.
Result<ByteView> unwrap(ByteView bytes) {
    if (bytes.size() < kMinTrailerSize) return corrupt("trailer: too short");
    if (bytes.size() > kMaxTrailerSize) return corrupt("trailer: too long");
    const std::uint8_t* tail = bytes.data() + bytes.size() - kTailSize;
    if (load_le32(bytes.data()) != kSkippableMagic) return corrupt("trailer: wrong magic number");
    if (load_le32(bytes.data() + 4) != bytes.size() - kSkippableHeaderSize)
        return corrupt("trailer: wrong length");
    if (load_be32(tail + 4) != bytes.size()) return corrupt("trailer: wrong size at its end");
    const ByteView values =
        bytes.subspan(kSkippableHeaderSize, bytes.size() - kSkippableHeaderSize - kTailSize);
    if (load_be32(tail) != crc32(0, values)) return corrupt("trailer: checksum does not match");
    if (!std::equal(kMark.begin(), kMark.end(), values.begin())) return corrupt("trailer: unknown version");
    return values.subspan(kMark.size());
}

}  // namespace

Bytes Trailer::encode() const {
    Encoder out;
    out.out().reserve(kMinTrailerSize + 2 * commits.size() * kUsualVarintSize);
    out.out().resize(kSkippableHeaderSize);
    out.bytes(kMark);
    out.byte(static_cast<std::uint8_t>(kind));
    out.byte(0);
    out.byte(0);
    out.generation(generation);
    out.generation(predecessor);
    for (const std::uint64_t value : {index, start_offset, end_offset, previous_end}) out.u64(value);
    for (const WalChecksum sum : {previous_checksum, end_checksum, source_checksum}) out.checksum(sum);
    out.bytes(salts);
    for (const std::uint32_t value : {page_size, page_count, content_crc}) out.u32(value);
    out.u32(static_cast<std::uint32_t>(commits.size()));
    encode_commits(out, *this);
    out.u32(crc32(0, ByteView(out.out()).subspan(kSkippableHeaderSize)));
    out.u32(static_cast<std::uint32_t>(out.out().size() + sizeof(std::uint32_t)));
    store_le32(out.out().data(), kSkippableMagic);
    store_le32(out.out().data() + 4, static_cast<std::uint32_t>(out.out().size() - kSkippableHeaderSize));
    return std::move(out.out());
}

Result<Trailer> Trailer::decode(ByteView bytes) {
    LITESTREAM_ASSIGN(const ByteView values, unwrap(bytes));
    Decoder in(values);
    Trailer trailer;
    const std::uint8_t kind = in.byte();
    if (kind != 1 && kind != 2) return corrupt("trailer: unknown kind");
    trailer.kind = static_cast<Kind>(kind);
    if (in.byte() != 0 || in.byte() != 0) return corrupt("trailer: unknown version");
    trailer.generation = to_hex(in.bytes(8));
    trailer.predecessor = to_hex(in.bytes(8));
    if (trailer.predecessor == std::string(16, '0')) trailer.predecessor.clear();
    for (auto* value : {&trailer.index, &trailer.start_offset, &trailer.end_offset, &trailer.previous_end}) {
        *value = in.u64();
    }
    for (auto* sum : {&trailer.previous_checksum, &trailer.end_checksum, &trailer.source_checksum}) {
        *sum = in.checksum();
    }
    const ByteView salts = in.bytes(trailer.salts.size());
    std::copy(salts.begin(), salts.end(), trailer.salts.begin());
    for (auto* value : {&trailer.page_size, &trailer.page_count, &trailer.content_crc}) *value = in.u32();
    const std::uint32_t count = in.u32();
    LITESTREAM_TRY(check_values(trailer, count));
    LITESTREAM_TRY(decode_commits(in, count, trailer));
    return trailer;
}

Result<std::optional<Trailer>> read_trailer(const File& file) {
    LITESTREAM_ASSIGN(const struct stat status, file.status());
    const auto file_size = static_cast<std::uint64_t>(status.st_size);
    if (file_size < kMinTrailerSize) return std::optional<Trailer>();
    std::uint8_t word[4];
    LITESTREAM_TRY(file.read_exactly_at(file_size - sizeof word, word));
    const std::uint32_t size = load_be32(word);
    if (size < kMinTrailerSize || size > std::min<std::uint64_t>(file_size, kMaxTrailerSize)) {
        return std::optional<Trailer>();
    }
    // The magic number first: the end of a file without a trailer is any four bytes.
    LITESTREAM_TRY(file.read_exactly_at(file_size - size, word));
    if (load_le32(word) != kSkippableMagic) return std::optional<Trailer>();
    Bytes bytes(size);
    LITESTREAM_TRY(file.read_exactly_at(file_size - size, bytes));
    auto trailer = Trailer::decode(bytes);
    if (!trailer) return std::optional<Trailer>();
    return std::optional<Trailer>(*std::move(trailer));
}

std::optional<Trailer> trailer_at_end(ByteView file) {
    if (file.size() < kMinTrailerSize) return std::nullopt;
    const std::uint32_t size = load_be32(file.data() + file.size() - 4);
    if (size < kMinTrailerSize || size > std::min(file.size(), kMaxTrailerSize)) return std::nullopt;
    auto trailer = Trailer::decode(file.last(size));
    if (!trailer) return std::nullopt;
    return *std::move(trailer);
}

}  // namespace litestream
