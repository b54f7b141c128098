// lz4 frames as Litestream e6f7c60 writes and reads them (section 2.1): 4 MiB blocks, independent, content
// checksum; one frame a file. Thread-bound objects.
#pragma once

#include <memory>

#include "shared/base/stream.h"

struct LZ4F_cctx_s;
struct LZ4F_dctx_s;

namespace litestream {

constexpr std::size_t kMaxSkippableSize = 32u
                                          << 20;  // of all skippable frames in front of the one that is read

// Compresses a sequence of bytes into one frame, handed on to `sink` in pieces. Every file begins
// 04 22 4d 18 64 70 b9. The frame is whole once finish() has returned.
class Lz4Writer {
  public:
    explicit Lz4Writer(Sink sink);
    ~Lz4Writer();
    Lz4Writer(const Lz4Writer&) = delete;
    Lz4Writer& operator=(const Lz4Writer&) = delete;

    Status write(ByteView bytes);  // pieces up to any size; blocks are cut at 4 MiB
    Status finish();

  private:
    Status begin();
    Status compress_block(ByteView block);
    Status flush();
    ByteSpan room(std::size_t size);  // behind what out_ holds already
    Sink sink_;
    LZ4F_cctx_s* context_ = nullptr;
    Bytes buffer_;  // collects a block of up to 4 MiB
    // Compressed bytes that the sink has not seen: a small payload reaches it in one piece.
    Bytes out_;
    std::size_t out_size_ = 0;
};

// Decompresses exactly one frame and verifies its end mark and content checksum, without which it is not
// accepted; block sizes 4..7, linked blocks and a content size are accepted, skippable frames in front too
// (kMaxSkippableSize in all). Never allocates by a size that the input claims, beyond lz4's own 4 MiB blocks.
class Lz4Reader final : public Source {
  public:
    explicit Lz4Reader(Source& source);
    ~Lz4Reader() override;
    Lz4Reader(const Lz4Reader&) = delete;
    Lz4Reader& operator=(const Lz4Reader&) = delete;

    // 0: the frame has ended and was verified. kCorrupt: "lz4: ends early at byte 123", "lz4: ..." .
    Result<std::size_t> read(ByteSpan buffer) override;
    // After the end: what follows the frame in `source`, up to `limit` bytes and one more (so that the
    // caller sees that there is more).
    Result<Bytes> read_rest(std::size_t limit);

  private:
    Status begin();
    Status skip(std::uint64_t size);
    Status need(std::size_t size);  // that many unread bytes in in_, at most 16
    Status refill();                // more of the source behind them
    ByteView unread() const { return ByteView(in_).subspan(in_begin_, in_end_ - in_begin_); }
    void consume(std::size_t size);
    Error ends_early() const;

    Source& source_;
    LZ4F_dctx_s* context_ = nullptr;  // made once the frame has begun
    Bytes in_;
    std::size_t in_begin_ = 0, in_end_ = 0;
    std::uint64_t consumed_ = 0;
    bool source_ended_ = false;
    bool ended_ = false;
};

}  // namespace litestream
