#include "shared/format/frame_chain.h"
#include "tests/fuzz/check.h"

using namespace litestream;

namespace {

struct Outcome {
    bool is_valid = false;
    std::uint64_t offset = 0;
    std::uint64_t frames = 0;
    bool operator==(const Outcome&) const = default;
};

Outcome run(ByteView wal, std::size_t piece_bytes) {
    Outcome outcome;
    FrameChain chain([&](const FrameChain::Frame& frame) {
        outcome.frames++;
        claim(frame.header.page_no != 0 && is_page_size(static_cast<std::uint32_t>(frame.page.size())));
        return Status();
    });
    Status status;
    while (!wal.empty() && status) {
        const ByteView piece = wal.first(std::min(piece_bytes, wal.size()));
        status = chain.feed(piece);
        wal = wal.subspan(piece.size());
    }
    outcome.is_valid = status.has_value() && chain.finish().has_value();
    outcome.offset = chain.offset();
    if (chain.has_header()) claim(chain.offset() == wal_size(outcome.frames, chain.header().page_size));
    return outcome;
}

}  // namespace

// The bytes may arrive in any pieces: the outcome is the same.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView wal(data, size);
    const Outcome whole = run(wal, size);
    claim(run(wal, 1) == whole);
    claim(run(wal, 97) == whole);
    return 0;
}
