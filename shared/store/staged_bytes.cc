#include "shared/store/staged_bytes.h"

#include <algorithm>

#include "shared/base/directory.h"

namespace litestream {

namespace {

constexpr std::size_t kPiece = 256u << 10;

}  // namespace

Status StagedBytes::append(ByteView bytes) {
    if (in_memory() && memory_.size() + bytes.size() <= memory_limit_) {
        memory_.insert(memory_.end(), bytes.begin(), bytes.end());
    } else {
        LITESTREAM_TRY(to_file());
        LITESTREAM_TRY(file_.write_at(size_bytes_, bytes));
    }
    size_bytes_ += bytes.size();
    return {};
}

Status StagedBytes::to_file() {
    if (!in_memory()) return {};
    LITESTREAM_ASSIGN(file_, open_nameless_file(folder_));
    LITESTREAM_TRY(file_.write_at(0, memory_));
    memory_ = {};
    return {};
}

Status StagedBytes::read(const Sink& sink) const {
    if (in_memory()) return sink(memory_);
    Bytes piece(kPiece);
    for (std::uint64_t at = 0; at < size_bytes_; at += piece.size()) {
        const std::size_t n = std::min<std::uint64_t>(piece.size(), size_bytes_ - at);
        LITESTREAM_TRY(file_.read_exactly_at(at, ByteSpan(piece).first(n)));
        LITESTREAM_TRY(sink(ByteView(piece).first(n)));
    }
    return {};
}

}  // namespace litestream
