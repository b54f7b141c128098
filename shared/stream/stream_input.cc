#include "shared/stream/stream_input.h"

#include <algorithm>
#include <string>
#include <utility>

namespace litestream {
namespace {

constexpr std::size_t kBufferSize = 64u << 10;

}  // namespace

std::size_t StreamInput::take(ByteSpan buffer) {
    const std::size_t size = std::min(buffer.size(), end_ - begin_);
    std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_), size, buffer.begin());
    begin_ += size;
    return size;
}

Result<std::optional<std::size_t>> StreamInput::read_for(ByteSpan buffer, std::int64_t timeout_ms) {
    if (begin_ != end_) return std::optional(take(buffer));
    if (before_wait_) LITESTREAM_TRY(before_wait_());
    if (buffer.size() >= kBufferSize) return wire_.read_for(buffer, timeout_ms);
    buffer_.resize(kBufferSize);
    LITESTREAM_ASSIGN(const auto size, wire_.read_for(buffer_, timeout_ms));
    if (!size || *size == 0) return size;
    begin_ = 0;
    end_ = *size;
    return std::optional(take(buffer));
}

Result<StreamInput::Came> StreamInput::read_header(ByteSpan header, std::int64_t timeout_ms) {
    LITESTREAM_ASSIGN(const auto size, read_for(header, timeout_ms));
    if (!size) return Came::kNothing;
    if (*size == 0) return Came::kEnd;
    LITESTREAM_TRY(read_exactly(header.subspan(*size), "a header"));
    return Came::kHeader;
}

Result<std::size_t> StreamInput::read_some(ByteSpan buffer, const char* what) {
    LITESTREAM_ASSIGN(const auto size, read_for(buffer, silence_ms_));
    const std::string where = std::string(" in the middle of ") + what;
    if (!size) return Error{ErrorCode::kBusy, "the server fell silent" + where};
    if (*size == 0) return Error{ErrorCode::kIo, "the connection ended" + where};
    return *size;
}

Status StreamInput::read_exactly(ByteSpan buffer, const char* what) {
    while (!buffer.empty()) {
        LITESTREAM_ASSIGN(const std::size_t size, read_some(buffer, what));
        buffer = buffer.subspan(size);
    }
    return {};
}

Result<std::size_t> PayloadSource::read(ByteSpan buffer) {
    if (failure_) return *failure_;
    const auto limit = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), left_bytes_));
    if (limit == 0) return std::size_t{0};
    auto size = input_.read_some(buffer.first(limit), what_);
    if (size) {
        left_bytes_ -= *size;
    } else {
        failure_ = size.error();
    }
    return size;
}

Status PayloadSource::skip_rest() {
    Bytes buffer(kBufferSize);
    while (left_bytes_ != 0) LITESTREAM_TRY(read(buffer));
    return {};
}

}  // namespace litestream
