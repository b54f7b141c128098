#include "shared/replica/replay.h"

#include "shared/format/segment.h"

namespace litestream {
namespace {

constexpr std::size_t kChangeCounterAt = 24;  // in page 1, 4 bytes

// The database header's page number in a frame.
bool is_first_page(const FrameChain::Frame& frame) { return frame.header.page_no == 1; }

}  // namespace

Result<Position> Replay::run() {
    if (auto status = copy_snapshot(); !status) {
        return std::move(status).error().context(plan_.snapshot.info.name);
    }
    for (const SegmentFile& segment : plan_.segments) {
        if (auto status = apply(segment); !status)
            return std::move(status).error().context(segment.info.name);
    }
    if (auto status = finish_index(); !status) return std::move(status).error().context(segment_->info.name);
    return check_stop();
}

Status Replay::read(const std::string& name, const std::optional<Trailer>& expected, const Sink& sink) {
    const auto source = open_(name);
    if (!source) return unreadable(source.error());
    LITESTREAM_ASSIGN(const auto trailer, read_payload(**source, sink));
    if (trailer != expected) return corrupt("its trailer is damaged, or the file changed while it was read");
    return {};
}

Status Replay::copy_snapshot() {
    const Sink sink = [this](ByteView bytes) { return database_.append(bytes); };
    LITESTREAM_TRY(read(plan_.snapshot.info.name, plan_.snapshot.trailer, sink));
    LITESTREAM_TRY(database_.finish_snapshot());
    return check_snapshot_size();
}

Status Replay::check_snapshot_size() const {
    if (!plan_.is_ours) return {};
    const Trailer& trailer = *plan_.snapshot.trailer;
    if (database_.size_bytes() != std::uint64_t{trailer.page_size} * trailer.page_count) {
        return corrupt("its size is not that of its trailer");
    }
    if (database_.size_bytes() != 0 && database_.page_size() != trailer.page_size) {
        return corrupt("page 1 and the trailer name different page sizes");
    }
    return {};
}

Status Replay::apply(const SegmentFile& segment) {
    LITESTREAM_TRY(begin_index(segment));
    segment_ = &segment;
    commits_seen_ = 0;
    if (chain_->offset() != segment.info.offset) {
        const Position expected{segment.info.generation, segment.info.index, chain_->offset()};
        return corrupt("what precedes it ends at " + expected.to_string() +
                       ": a segment is missing or was replaced");
    }
    const Sink sink = [this](ByteView bytes) { return chain_->feed(bytes); };
    LITESTREAM_TRY(read(segment.info.name, segment.trailer, sink));
    return segment.trailer ? check_content(*segment.trailer) : Status();
}

Status Replay::begin_index(const SegmentFile& segment) {
    if (segment_ != nullptr && segment_->info.index == segment.info.index) return {};
    if (auto status = finish_index(); !status) {
        return std::move(status).error().context("the index before it");
    }
    chain_.emplace([this](const FrameChain::Frame& frame) { return take_frame(frame); });
    return {};
}

// Cuts the file where a checkpoint of the whole index would.
Status Replay::finish_index() {
    if (!chain_) return {};
    LITESTREAM_TRY(chain_->finish());
    if (!chain_->has_header()) return corrupt("holds no WAL header");
    const std::uint32_t pages = page_count_;
    page_count_ = 0;
    return pages == 0 ? Status() : database_.set_page_count(pages);
}

Status Replay::check_content(const Trailer& trailer) const {
    LITESTREAM_TRY(chain_->finish());
    const bool fits = chain_->offset() == trailer.end_offset && chain_->checksum() == trailer.end_checksum &&
                      commits_seen_ == trailer.commits.size();
    if (!fits) return corrupt("its frames do not end as its trailer says");
    const WalHeader& header = chain_->header();
    if (header.salts != trailer.salts || header.page_size != trailer.page_size) {
        return corrupt("the WAL header has another salt or page size than the trailer");
    }
    return {};
}

Position Replay::end_of(const FrameChain::Frame& frame) const {
    return {segment_->info.generation, segment_->info.index, frame.end_offset};
}

bool Replay::is_past_stop(const FrameChain::Frame& frame) const {
    return plan_.stop_at == RestorePlan::Stop::kCommit && plan_.stop.before(end_of(frame));
}

Status Replay::take_frame(const FrameChain::Frame& frame) {
    LITESTREAM_TRY(take_commit(frame));
    if (is_past_stop(frame)) {
        if (after_stop_.empty() && frame.header.is_commit()) after_stop_ = end_of(frame);
        return {};
    }
    LITESTREAM_TRY(check_change_counter(frame));
    LITESTREAM_TRY(database_.write_page(frame.header.page_no, frame.page));
    if (!frame.header.is_commit()) return {};
    page_count_ = frame.header.commit_pages;
    end_ = end_of(frame);
    return {};
}

// The trailer's commits in step with the frames: each is the end of a commit frame.
Status Replay::take_commit(const FrameChain::Frame& frame) {
    if (!segment_->trailer) return {};
    const Trailer& trailer = *segment_->trailer;
    const bool is_listed = commits_seen_ < trailer.commits.size() &&
                           trailer.commits[commits_seen_].end_offset == frame.end_offset;
    if (!is_listed) return {};
    if (!frame.header.is_commit()) return corrupt(end_of(frame).to_string() + ": is the end of no commit");
    ++commits_seen_;
    if (frame.end_offset == trailer.end_offset && frame.header.commit_pages != trailer.page_count) {
        return corrupt("its last commit and its trailer name different page counts");
    }
    return check_snapshot_end(frame);
}

Status Replay::check_snapshot_end(const FrameChain::Frame& frame) const {
    if (end_of(frame) != plan_.snapshot.position()) return {};
    const Trailer& snapshot = *plan_.snapshot.trailer;
    // Zero: capture had gone on and no longer knew the stored checksum there.
    const bool same_chain =
        snapshot.end_checksum == WalChecksum{} || snapshot.end_checksum == frame.header.checksum;
    const bool fits = same_chain && frame.header.salts == snapshot.salts &&
                      frame.header.commit_pages == snapshot.page_count;
    return fits ? Status()
                : corrupt(end_of(frame).to_string() + ": is not the commit of the snapshot " +
                          plan_.snapshot.info.name);
}

Status Replay::check_change_counter(const FrameChain::Frame& frame) {
    if (plan_.is_ours || !is_first_page(frame)) return {};
    const std::uint32_t counter = load_be32(&frame.page[kChangeCounterAt]);
    if (change_counter_ && counter > *change_counter_ && counter - *change_counter_ > 1) {
        return corrupt(end_of(frame).to_string() + ": page 1's change counter goes from " +
                       std::to_string(*change_counter_) + " to " + std::to_string(counter) +
                       ": a segment before it is missing");
    }
    change_counter_ = counter;
    return {};
}

Result<Position> Replay::check_stop() const {
    if (plan_.stop.empty() || end_ == plan_.stop) return end_;
    const std::string stop = "position " + plan_.stop.to_string();
    if (plan_.stop_at == RestorePlan::Stop::kEnd) {
        return bad_input(stop +
                         " is in the index of the snapshot, of which only the end can be restored from "
                         "this format: " +
                         end_.to_string());
    }
    return bad_input(stop + " is not the end of a commit; the nearest before is " + end_.to_string() +
                     (after_stop_.empty() ? "" : ", the nearest after " + after_stop_.to_string()));
}

}  // namespace litestream
