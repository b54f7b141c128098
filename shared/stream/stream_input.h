// StreamInput: what a server sends, as both protocols read it: a header or silence, then a payload of known
// length that ends there and nowhere else. A connection that ends within either is an error, never an end.
//
// Buffered: small reads do not reach the wire each. Thread-bound: the follower's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "shared/base/stream.h"

namespace litestream {

// The connection, as far as it matters here; in life an HttpClient, whose rules for errors hold.
class StreamWire {
  public:
    virtual ~StreamWire() = default;
    // nullopt: nothing came within `timeout_ms`. 0: the clean end.
    virtual Result<std::optional<std::size_t>> read_for(ByteSpan buffer, std::int64_t timeout_ms) = 0;
    virtual Status write(ByteView bytes) = 0;
};

class StreamInput {
  public:
    // `silence_ms`: how long the rest of what has begun may be silent.
    StreamInput(StreamWire& wire, std::int64_t silence_ms) : wire_(wire), silence_ms_(silence_ms) {}

    // Asked each time before the wire is waited for; its error ends the read.
    void set_before_wait(std::function<Status()> ask) { before_wait_ = std::move(ask); }

    enum class Came : std::uint8_t { kNothing, kHeader, kEnd };
    // The whole of `header`, if its first byte comes within `timeout_ms`.
    Result<Came> read_header(ByteSpan header, std::int64_t timeout_ms);
    // `what` names it where the connection ends or falls silent: "a record".
    Status read_exactly(ByteSpan buffer, const char* what);
    // At least one byte.
    Result<std::size_t> read_some(ByteSpan buffer, const char* what);

  private:
    Result<std::optional<std::size_t>> read_for(ByteSpan buffer, std::int64_t timeout_ms);
    std::size_t take(ByteSpan buffer);

    StreamWire& wire_;
    const std::int64_t silence_ms_;
    std::function<Status()> before_wait_;
    Bytes buffer_;
    std::size_t begin_ = 0, end_ = 0;
};

// The next `size_bytes` of the input, in front of whatever reads payloads.
class PayloadSource final : public Source {
  public:
    PayloadSource(StreamInput& input, std::uint64_t size_bytes, const char* what)
        : input_(input), left_bytes_(size_bytes), what_(what) {}
    Result<std::size_t> read(ByteSpan buffer) override;
    Status skip_rest();
    // Of the connection, as opposed to what the reader found wrong with the bytes.
    const std::optional<Error>& failure() const { return failure_; }

  private:
    StreamInput& input_;
    std::uint64_t left_bytes_;
    const char* const what_;
    std::optional<Error> failure_;
};

}  // namespace litestream
