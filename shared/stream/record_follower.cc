#include "shared/stream/record_follower.h"

#include <array>
#include <utility>

#include "shared/base/clock.h"
#include "shared/base/text.h"

namespace litestream {
namespace {

constexpr const char* kRecord = "a record";

}  // namespace

RecordFollower::RecordFollower(StreamContext& context)
    : context_(context), input_(context.wire, context.source.limits.silence_ms) {}

Error RecordFollower::run() {
    for (;;) {
        LITESTREAM_ASSIGN(const auto record, next_record());
        LITESTREAM_TRY(record ? take(*record) : take_silence());
    }
}

// nullopt: the silence that a torn snapshot waits for, or a replica that moved.
Result<std::optional<StreamRecord>> RecordFollower::next_record() {
    const StreamLimits& limits = context_.source.limits;
    std::array<std::uint8_t, kRecordHeaderSize> header = {};
    LITESTREAM_ASSIGN(const auto came,
                      input_.read_header(header, awaits_silence() ? limits.settle_ms : limits.quiet_ms));
    switch (came) {
        case StreamInput::Came::kEnd:
            return Error{ErrorCode::kIo, "the server ended the stream"};
        case StreamInput::Came::kNothing:
            if (awaits_silence()) return std::optional<StreamRecord>();
            return Error{ErrorCode::kBusy, "nothing came for " + format_duration(limits.quiet_ms)};
        case StreamInput::Came::kHeader:
            break;
    }
    context_.update([](StreamProgress& progress) { progress.heard_ms = wall_clock_ms(); });
    LITESTREAM_ASSIGN(StreamRecord record, StreamRecord::decode(header));
    return std::optional(std::move(record));
}

Status RecordFollower::take(const StreamRecord& record) {
    switch (record.type) {
        case StreamRecord::Type::kSnapshot:
            return take_snapshot(record);
        case StreamRecord::Type::kSegment:
            return take_segment(record);
    }
    return {};
}

Status RecordFollower::take_snapshot(const StreamRecord& record) {
    torn_.reset();
    LITESTREAM_ASSIGN(torn_,
                      TornSnapshot::create(context_.source.meta_path, record.position, context_.page_size));
    PayloadSource payload(input_, record.size_bytes, "a snapshot");
    LITESTREAM_TRY(payload_result(payload, torn_->take_pages(payload, record.size_bytes)));
    has_news_ = is_unchecked_ = true;
    settles_ = 0;
    context_.update([](StreamProgress& progress) { progress.snapshots++; });
    return {};
}

Status RecordFollower::take_segment(const StreamRecord& record) {
    const Position& start = record.position;
    const Position& end = torn_ ? torn_->state().position : context_.feed.state().position;
    if (end.empty()) return corrupt("segment " + start.to_string() + " comes before any snapshot");
    if (start.generation != end.generation) {
        return corrupt("segment " + start.to_string() + " is of another generation than " + end.to_string() +
                       ", and no snapshot came between");
    }
    if (torn_ && start.index == end.index) return collect_segment(record);
    if (torn_) LITESTREAM_TRY(finish_torn(start));
    return feed_segment(record);
}

// What it says of its own position is checked by the feed, which knows what is there already.
Status RecordFollower::feed_segment(const StreamRecord& record) {
    const Position& start = record.position;
    PayloadSource payload(input_, record.size_bytes, kRecord);
    LITESTREAM_TRY(payload_result(
        payload,
        context_.feed.take_segment(start.generation, start.index, start.offset, payload, wall_clock_ms())));
    LITESTREAM_TRY(payload.skip_rest());
    owes_rest_ = true;
    return context_.tell_progress();
}

Status RecordFollower::collect_segment(const StreamRecord& record) {
    PayloadSource payload(input_, record.size_bytes, kRecord);
    LITESTREAM_TRY(payload_result(payload, torn_->take_segment(record.position, payload, wall_clock_ms())));
    has_news_ = is_unchecked_ = true;
    settles_ = 0;
    return {};
}

// The next index begins: whatever the snapshot needed has come.
Status RecordFollower::finish_torn(const Position& next) {
    const SourceState& state = torn_->state();
    if (next.index != state.position.index + 1 || next.offset != 0) {
        return corrupt("segment " + next.to_string() + " does not follow " + state.position.to_string());
    }
    if (!state.has_header) {
        return corrupt("the index of the snapshot " + state.position.to_string() + " never came");
    }
    if (has_news_) {
        LITESTREAM_TRY(check());
        LITESTREAM_TRY(show());
    }
    torn_.reset();
    return {};
}

// Without a heartbeat from the server a pause is the sign that nothing more is on its way: told once.
Status RecordFollower::take_silence() {
    if (!holds_back()) {
        owes_rest_ = false;
        return context_.tell_progress();
    }
    if (is_unchecked_) {
        auto checked = check();
        if (checked) {
            LITESTREAM_TRY(show());
            if (torn_->state().has_header) torn_.reset();
            return {};
        }
        if (checked.error().code == ErrorCode::kInterrupt) return checked;
        is_unchecked_ = false;
        last_check_ = std::move(checked).error();
    }
    if (++settles_ < context_.source.limits.most_settles) return {};
    return Error{ErrorCode::kIo,
                 "the snapshot is no consistent database, and nothing more comes: " + last_check_.message};
}

Status RecordFollower::check() {
    LITESTREAM_TRY(torn_->settle());
    auto checked = context_.source.check(torn_->path());
    if (checked) return {};
    return std::move(checked).error().context("the snapshot " + torn_->state().position.to_string());
}

Status RecordFollower::show() {
    FilePages pages(torn_->file(), torn_->size_bytes());
    LITESTREAM_TRY(context_.feed.take_image(pages, torn_->size_bytes(), torn_->state()));
    has_news_ = is_unchecked_ = false;
    owes_rest_ = true;
    return context_.tell_progress();
}

}  // namespace litestream
