// Source and Sink: a sequence of bytes read or written once, front to back.
// Thread-bound: one thread at a time uses one object.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>

#include "shared/base/bytes.h"
#include "shared/base/result.h"

namespace litestream {

class Source {
  public:
    virtual ~Source() = default;
    // Fills at most buffer.size() bytes; fewer only where that is handier. 0: the end.
    virtual Result<std::size_t> read(ByteSpan buffer) = 0;
};

// Takes all of the bytes or fails; the view is not kept.
using Sink = std::function<Status(ByteView)>;

class MemorySource final : public Source {
  public:
    explicit MemorySource(ByteView bytes) : rest_(bytes) {}  // the caller keeps the bytes alive
    Result<std::size_t> read(ByteSpan buffer) override {
        const std::size_t n = std::min(buffer.size(), rest_.size());
        std::copy_n(rest_.begin(), n, buffer.begin());
        rest_ = rest_.subspan(n);
        return n;
    }

  private:
    ByteView rest_;
};

inline Sink append_to(Bytes& out) {
    return [&out](ByteView bytes) {
        out.insert(out.end(), bytes.begin(), bytes.end());
        return Status();
    };
}

}  // namespace litestream
