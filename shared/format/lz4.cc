#include "shared/format/lz4.h"

#include <lz4frame.h>

#include <algorithm>
#include <utility>

namespace litestream {
namespace {

constexpr std::size_t kBlockSize = 4u << 20;
constexpr std::size_t kInputSize = 64u << 10;

constexpr std::uint32_t kFrameMagic = 0x184D2204;
constexpr std::uint32_t kSkippableMagic = 0x184D2A50;  // the low four bits are free
constexpr std::uint32_t kSkippableMask = 0xFFFFFFF0;
constexpr std::size_t kSkippableHeaderSize = 8;
constexpr std::uint8_t kFlagContentChecksum = 0x04;

constexpr LZ4F_preferences_t make_preferences() {
    LZ4F_preferences_t preferences = {};
    preferences.frameInfo.blockSizeID = LZ4F_max4MB;
    preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    // The library then keeps no 4 MiB buffer of its own: blocks are cut here.
    preferences.autoFlush = 1;
    return preferences;
}

constexpr LZ4F_preferences_t kPreferences = make_preferences();

Error cannot_compress(std::size_t code) {
    return {ErrorCode::kIo, std::string("lz4: cannot compress: ") + LZ4F_getErrorName(code)};
}

}  // namespace

Lz4Writer::Lz4Writer(Sink sink) : sink_(std::move(sink)) {}

Lz4Writer::~Lz4Writer() { LZ4F_freeCompressionContext(context_); }

ByteSpan Lz4Writer::room(std::size_t size) {
    if (out_.size() < out_size_ + size) out_.resize(out_size_ + size);
    return ByteSpan(out_).subspan(out_size_);
}

Status Lz4Writer::flush() {
    const std::size_t size = std::exchange(out_size_, 0);
    return sink_(ByteView(out_).first(size));
}

Status Lz4Writer::begin() {
    if (context_ != nullptr) return {};
    const std::size_t code = LZ4F_createCompressionContext(&context_, LZ4F_VERSION);
    if (LZ4F_isError(code)) return cannot_compress(code);
    const ByteSpan out = room(LZ4F_HEADER_SIZE_MAX);
    const std::size_t size = LZ4F_compressBegin(context_, out.data(), out.size(), &kPreferences);
    if (LZ4F_isError(size)) return cannot_compress(size);
    out_size_ += size;
    return {};
}

Status Lz4Writer::compress_block(ByteView block) {
    LITESTREAM_TRY(begin());
    const ByteSpan out = room(LZ4F_compressBound(block.size(), &kPreferences));
    const std::size_t size =
        LZ4F_compressUpdate(context_, out.data(), out.size(), block.data(), block.size(), nullptr);
    if (LZ4F_isError(size)) return cannot_compress(size);
    out_size_ += size;
    return block.size() == kBlockSize ? flush() : Status();
}

Status Lz4Writer::write(ByteView bytes) {
    while (!bytes.empty()) {
        const ByteView piece = bytes.first(std::min(bytes.size(), kBlockSize - buffer_.size()));
        bytes = bytes.subspan(piece.size());
        if (piece.size() == kBlockSize) {
            LITESTREAM_TRY(compress_block(piece));
            continue;
        }
        buffer_.insert(buffer_.end(), piece.begin(), piece.end());
        if (buffer_.size() == kBlockSize) {
            LITESTREAM_TRY(compress_block(buffer_));
            buffer_.clear();
        }
    }
    return {};
}

Status Lz4Writer::finish() {
    if (!buffer_.empty()) LITESTREAM_TRY(compress_block(buffer_));
    buffer_.clear();
    LITESTREAM_TRY(begin());
    const ByteSpan out = room(LZ4F_compressBound(0, &kPreferences));
    const std::size_t size = LZ4F_compressEnd(context_, out.data(), out.size(), nullptr);
    if (LZ4F_isError(size)) return cannot_compress(size);
    out_size_ += size;
    return flush();
}

Lz4Reader::Lz4Reader(Source& source) : source_(source) {}

Lz4Reader::~Lz4Reader() { LZ4F_freeDecompressionContext(context_); }

void Lz4Reader::consume(std::size_t size) {
    in_begin_ += size;
    consumed_ += size;
}

Error Lz4Reader::ends_early() const {
    return corrupt("lz4: ends early at byte " + std::to_string(consumed_));
}

Status Lz4Reader::refill() {
    in_.resize(kInputSize);
    std::copy(in_.begin() + static_cast<std::ptrdiff_t>(in_begin_),
              in_.begin() + static_cast<std::ptrdiff_t>(in_end_), in_.begin());
    in_end_ -= std::exchange(in_begin_, 0);
    LITESTREAM_ASSIGN(const std::size_t n, source_.read(ByteSpan(in_).subspan(in_end_)));
    in_end_ += n;
    source_ended_ = n == 0;
    return {};
}

Status Lz4Reader::need(std::size_t size) {
    while (unread().size() < size) {
        LITESTREAM_TRY(refill());
        if (!source_ended_) continue;
        consume(unread().size());
        return ends_early();
    }
    return {};
}

Status Lz4Reader::skip(std::uint64_t size) {
    while (size > 0) {
        if (unread().empty()) LITESTREAM_TRY(need(1));
        const std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(size, unread().size()));
        consume(n);
        size -= n;
    }
    return {};
}

// Up to the first byte of the frame, which the library then reads from its magic number on.
Status Lz4Reader::begin() {
    std::uint64_t skipped = 0;
    while (true) {
        LITESTREAM_TRY(need(kSkippableHeaderSize - 1));  // an empty frame has more than that
        const std::uint32_t magic = load_le32(unread().data());
        if (magic == kFrameMagic) break;
        if ((magic & kSkippableMask) != kSkippableMagic) return corrupt("lz4: wrong magic number");
        LITESTREAM_TRY(need(kSkippableHeaderSize));
        const std::uint64_t size = kSkippableHeaderSize + std::uint64_t{load_le32(unread().data() + 4)};
        skipped += size;
        if (skipped > kMaxSkippableSize) return corrupt("lz4: too many skippable bytes in front");
        LITESTREAM_TRY(skip(size));
    }
    if ((unread()[4] & kFlagContentChecksum) == 0) return corrupt("lz4: has no content checksum");
    const std::size_t code = LZ4F_createDecompressionContext(&context_, LZ4F_VERSION);
    if (LZ4F_isError(code)) return Error{ErrorCode::kIo, std::string("lz4: ") + LZ4F_getErrorName(code)};
    return {};
}

Result<std::size_t> Lz4Reader::read(ByteSpan buffer) {
    if (ended_ || buffer.empty()) return std::size_t{0};
    if (context_ == nullptr) LITESTREAM_TRY(begin());
    while (true) {
        if (unread().empty() && !source_ended_) LITESTREAM_TRY(refill());
        std::size_t written = buffer.size();
        std::size_t used = unread().size();
        const std::size_t hint =
            LZ4F_decompress(context_, buffer.data(), &written, unread().data(), &used, nullptr);
        if (LZ4F_isError(hint)) {
            return corrupt(std::string("lz4: ") + LZ4F_getErrorName(hint) + " behind byte " +
                           std::to_string(consumed_));
        }
        consume(used);
        ended_ = hint == 0;
        if (ended_ || written > 0) return written;
        if (source_ended_ && used == 0) return ends_early();
    }
}

Result<Bytes> Lz4Reader::read_rest(std::size_t limit) {
    Bytes rest;
    while (rest.size() <= limit) {
        if (unread().empty()) LITESTREAM_TRY(refill());
        if (unread().empty()) break;
        const std::size_t n = std::min(unread().size(), limit + 1 - rest.size());
        rest.insert(rest.end(), unread().begin(), unread().begin() + static_cast<std::ptrdiff_t>(n));
        consume(n);
    }
    return rest;
}

}  // namespace litestream
