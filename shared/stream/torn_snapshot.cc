#include "shared/stream/torn_snapshot.h"

#include <algorithm>
#include <utility>

#include "shared/base/random.h"
#include "shared/format/segment.h"

namespace litestream {
namespace {

constexpr std::size_t kPieceSize = 256u << 10;
constexpr std::size_t kNameBytes = 8;

// The database header (https://sqlite.org/fileformat2.html, section 1.3).
constexpr std::string_view kMagic{"SQLite format 3\0", 16};
constexpr std::size_t kSmallestPage = 512;

}  // namespace

Result<TornSnapshot> TornSnapshot::create(const std::string& directory, const Position& start,
                                          std::uint32_t page_size) {
    const std::string name = join_path(directory, "torn-" + random_hex(kNameBytes));
    LITESTREAM_ASSIGN(TempFile temp, TempFile::create(name, ".tmp", 0600));
    SourceState state;
    state.position = {start.generation, start.index, 0};
    state.page_size = page_size;
    return TornSnapshot(std::move(temp), std::move(state));
}

Status TornSnapshot::take_pages(Source& pages, std::uint64_t size_bytes) {
    const std::string size = std::to_string(size_bytes);
    if (size_bytes == 0 || size_bytes % state_.page_size != 0) {
        return corrupt("a snapshot of " + size + " bytes is not made of pages of " +
                       std::to_string(state_.page_size));
    }
    Bytes buffer(kPieceSize);
    std::size_t held = 0;  // the first piece is whole enough to be checked
    while (size_bytes_ + held < size_bytes) {
        LITESTREAM_ASSIGN(const std::size_t count, pages.read(ByteSpan(buffer).subspan(held)));
        if (count == 0) return corrupt("a snapshot of " + size + " bytes ends early");
        held += count;
        if (size_bytes_ == 0 && held < kSmallestPage) continue;
        const ByteView piece = ByteView(buffer).first(held);
        if (size_bytes_ == 0) LITESTREAM_TRY(check_first_page(piece));
        LITESTREAM_TRY(temp_.file().write_at(size_bytes_, piece));
        size_bytes_ += held;
        held = 0;
    }
    return {};
}

Status TornSnapshot::check_first_page(ByteView bytes) const {
    if (as_text(bytes).substr(0, kMagic.size()) != kMagic)
        return corrupt("the snapshot is no SQLite database");
    const std::uint32_t page_size = load_page_size(&bytes[kPageSizeAt]);
    if (page_size == state_.page_size) return {};
    return corrupt("the snapshot has pages of " + std::to_string(page_size) + " bytes, the server names " +
                   std::to_string(state_.page_size));
}

Status TornSnapshot::check_start(const Position& start) const {
    if (start == state_.position) return {};
    return corrupt("segment " + start.to_string() + " does not follow " + state_.position.to_string());
}

// Each segment is verified from where the one before it ended.
FrameChain TornSnapshot::chain() {
    const auto on_frame = [this](const FrameChain::Frame& frame) { return write_frame(frame); };
    if (!state_.has_header) return FrameChain(on_frame);
    return {state_.header, state_.position.offset, state_.chain, on_frame};
}

Status TornSnapshot::take_segment(const Position& start, Source& payload, std::int64_t time_ms) {
    LITESTREAM_TRY(check_start(start));
    FrameChain frames = chain();
    const auto read = read_payload(payload, [&](ByteView bytes) { return frames.feed(bytes); });
    if (!read) return Error(read.error()).context("segment " + start.to_string());
    if (auto ended = frames.finish(); !ended) {
        return std::move(ended).error().context("segment " + start.to_string());
    }
    if (frames.offset() == start.offset) return corrupt("segment " + start.to_string() + ": holds nothing");
    state_.has_header = true;
    state_.header = frames.header();
    state_.chain = frames.checksum();
    state_.position.offset = frames.offset();
    const bool has_times = read->has_value() && !(*read)->commits.empty();
    state_.time_ms = has_times ? (*read)->commits.back().time_ms : time_ms;
    return {};
}

Status TornSnapshot::write_frame(const FrameChain::Frame& frame) {
    if (frame.page.size() != state_.page_size) {
        return corrupt("has pages of " + std::to_string(frame.page.size()) + " bytes, the snapshot of " +
                       std::to_string(state_.page_size));
    }
    const std::uint64_t offset = std::uint64_t{frame.header.page_no - 1} * state_.page_size;
    LITESTREAM_TRY(temp_.file().write_at(offset, frame.page));
    size_bytes_ = std::max(size_bytes_, offset + frame.page.size());
    if (frame.header.is_commit()) page_count_ = frame.header.commit_pages;
    return {};
}

Status TornSnapshot::settle() {
    if (page_count_ == 0) return {};
    size_bytes_ = std::uint64_t{page_count_} * state_.page_size;
    return temp_.file().truncate(size_bytes_);
}

Result<std::size_t> FilePages::read(ByteSpan buffer) {
    const auto limit =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size_bytes_ - offset_));
    LITESTREAM_ASSIGN(const std::size_t size, file_.read_at(offset_, buffer.first(limit)));
    offset_ += size;
    return size;
}

}  // namespace litestream
