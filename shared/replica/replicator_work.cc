// What a replicator uploads, in which order, and what it does where the chain of segments breaks off.
#include <algorithm>

#include "shared/base/log.h"
#include "shared/base/text.h"
#include "shared/format/path.h"
#include "shared/replica/continuity.h"
#include "shared/replica/replicator.h"
#include "shared/replica/segment_merge.h"

namespace litestream {

namespace {

constexpr std::uint64_t kMergeBytes = 32u << 20;  // of WAL in one published segment, about

Error stopped() { return {ErrorCode::kInterrupt, "replication is stopping"}; }

}  // namespace

// Everything that the store has by now, and a snapshot where its generation has none there. What comes
// meanwhile waits for the next interval: under a load without a pause there would be no end, and neither a
// snapshot that is due nor retention would have its turn.
Status Replicator::sync_once() {
    const Position goal = store_.end();
    while (!stopping_.load()) {
        const std::string current = store_.generation();
        if (current.empty()) {  // capture has not begun, or another process has it; it will tell
            knows_position_ = false;
            return {};
        }
        if (!knows_position_) LITESTREAM_TRY(find_position(current));
        const Position at = position();
        if (has_snapshot_ && at.generation == goal.generation && !at.before(goal)) return {};
        const auto segments = store_.segments_after(at, kMergeBytes);
        if (at.generation != current && (segments.empty() || !has_snapshot_)) {
            start_afresh(current);
        } else if (at.generation == current && !has_snapshot_) {
            LITESTREAM_TRY(publish_snapshot());
        } else if (segments.empty()) {
            return {};
        } else {
            LITESTREAM_TRY(advance(segments));
        }
    }
    return stopped();
}

// A refusal is for good: whoever owns the replica now must not be disturbed by retries.
Status Replicator::check_owner(const std::string& generation) {
    LITESTREAM_ASSIGN(std::string refusal,
                      claim(*client_, options_.owner, generation, adopt_, options_.clock.wall_ms()));
    adopt_ = false;
    owner_seen_ms_ = options_.clock.steady_ms();
    if (refusal.empty()) return {};
    store_.release_cursor(options_.name);
    {
        const std::lock_guard lock(mutex_);
        last_error_ = refusal;
        is_fenced_.store(true);
    }
    record("replica_fenced", refusal);
    return bad_input(std::move(refusal));
}

// Somebody may have taken the replica over since: what went there from here on would be acknowledged, and
// still not be what a restore takes.
Status Replicator::check_owner_again() {
    const std::int64_t wait_ms = is_asked_.exchange(false) ? kOwnerCheckOfSyncMs : kOwnerCheckMs;
    if (options_.clock.steady_ms() - owner_seen_ms_ < wait_ms) return {};
    return check_owner(position().generation);
}

// What the replica has of the current generation.
Status Replicator::find_position(const std::string& generation) {
    LITESTREAM_TRY(check_owner(generation));
    LITESTREAM_ASSIGN(const bool has_backlog, find_backlog(generation));
    if (has_backlog) return {};
    LITESTREAM_ASSIGN(const Held held, held_of(*client_, generation));
    if (const std::string fork = find_fork(store_, held); !fork.empty()) {
        if (given_up_.insert(generation).second) store_.request_generation(generation, fork);
        return Error{ErrorCode::kBusy, client_->url() + ": " + fork};
    }
    LITESTREAM_TRY(client_->settle(held.end));
    if (gap_ && gap_->after.generation != generation) gap_.reset();
    has_snapshot_ = held.is_restorable && !gap_;
    if (held.snapshot) note_snapshot(held.snapshot->index, held.snapshot->created_ms);
    if (held.first_free_index > 0 && !gap_) {
        found_gap(held.end, held.first_free_index,
                  client_->url() + ": the beginning of its last index is missing");
    }
    knows_position_ = true;
    set_position(held.end);
    return {};
}

// A process may have ended, and a generation with it, before its last commits were handed on: they come
// first, so that each can still be restored.
Result<bool> Replicator::find_backlog(const std::string& generation) {
    for (const std::string& before : store_.generations()) {
        if (before == generation || given_up_.contains(before)) continue;
        LITESTREAM_ASSIGN(const Held held, held_of(*client_, before));
        if (!held.is_restorable || store_.segments_after(held.end, 1).empty()) continue;
        if (!find_fork(store_, held).empty()) continue;
        LITESTREAM_TRY(client_->settle(held.end));
        gap_.reset();
        has_snapshot_ = true;
        knows_position_ = true;
        set_position(held.end);
        return true;
    }
    return false;
}

void Replicator::start_afresh(const std::string& generation) {
    has_snapshot_ = false;
    gap_.reset();
    last_snapshot_.reset();
    set_position({generation, 0, 0});
}

void Replicator::note_snapshot(std::uint64_t index, std::int64_t created_ms) {
    last_snapshot_ = LastSnapshot{index, taken_steady_ms(created_ms, options_.clock)};
    const std::lock_guard lock(mutex_);
    snapshot_ms_ = created_ms;
}

// --- Segments ---

Status Replicator::advance(const std::vector<SegmentRef>& segments) {
    const Position at = position();
    LITESTREAM_ASSIGN(const std::string gap, find_gap(store_, at, segments.front()));
    if (!gap.empty()) {
        found_gap(at, segments.front().index, gap);
        set_position(at);
        return {};
    }
    return upload(segments);
}

void Replicator::found_gap(const Position& at, std::uint64_t snapshot_index, const std::string& reason) {
    const std::string lost =
        reason + "; what follows " + at.to_string() + " cannot be restored until the next snapshot";
    log_line("litestream: " + client_->url() + ": " + lost);
    record("replica_gap", lost);
    gap_ = Gap{at, snapshot_index, reason};
    if (at.generation != store_.generation()) given_up_.insert(at.generation);
    has_snapshot_ = false;
    // The next snapshot has to wait for an index that may be long in coming.
    const Position end = store_.end();
    const bool is_far = at.generation == end.generation && snapshot_index > end.index;
    if (is_far) store_.request_generation(at.generation, reason);
}

// A local segment that does not verify never will: what can be had before it, then a gap.
Status Replicator::upload(const std::vector<SegmentRef>& segments) {
    const Position at = position();
    const SegmentRef& first = segments.front();
    const std::uint64_t start = first.index == at.index ? at.offset : 0;
    const Position end = segments.back().end_position();
    LITESTREAM_TRY(check_owner_again());
    LITESTREAM_TRY(store_.promise(options_.name, end));
    Status merged;
    const std::string name = segment_path(first.generation, first.index, start);
    const Status published = client_->publish(name, [&](const Sink& sink) {
        merged = merge_segments(store_, segments, start, sink, stopping_);
        return merged;
    });
    // Gone, and not trimmed meanwhile, is as bad as damaged.
    const bool is_gone = !merged && merged.error().code == ErrorCode::kNotFound;
    const bool is_damaged = is_gone || (!merged && merged.error().code == ErrorCode::kCorrupt);
    if (is_damaged && segments.size() > 1) return upload({first});
    if (is_damaged) {
        found_gap(at, first.index + 1, merged.error().message);
        set_position(at);
        return {};
    }
    LITESTREAM_TRY(published);
    set_position(end);
    const std::lock_guard lock(mutex_);
    wal_bytes_ += end.offset - start;
    return {};
}

Status Replicator::upload_until(const Position& limit) {
    const std::string missing = "the segments up to the snapshot are not here yet";
    while (position().before(limit)) {
        if (stopping_.load()) return stopped();
        const auto segments = store_.segments_after(position(), kMergeBytes);
        if (segments.empty()) return Error{ErrorCode::kBusy, missing};
        const Position before = position();
        LITESTREAM_TRY(advance(segments));
        if (position() == before) return Error{ErrorCode::kBusy, gap_ ? gap_->reason : missing};
    }
    return {};
}

// --- Snapshots ---

// Published only after the segments up to its position, so that whoever finds it can rely on them.
Result<Position> Replicator::publish_snapshot() {
    if (gap_ && store_.end().index < gap_->snapshot_index) return corrupt(gap_->reason);
    LITESTREAM_ASSIGN(const auto image, images_.pin());
    Trailer trailer = image->trailer();
    const Position at = trailer.end();
    if (at.generation != store_.generation()) return Error{ErrorCode::kBusy, "a new generation has begun"};
    if (gap_ && at.index < gap_->snapshot_index) return Error{ErrorCode::kBusy, gap_->reason};
    if (!has_snapshot_) LITESTREAM_TRY(begin_chain(at));
    LITESTREAM_TRY(upload_until(at));
    const std::int64_t now_ms = options_.clock.wall_ms();
    trailer.commits.back().time_ms = now_ms;
    LITESTREAM_TRY(check_owner_again());  // nothing may have been uploaded for long
    const Status published = write_snapshot(*image, trailer);
    const bool was_there = !published && published.error().code == ErrorCode::kExists;
    if (!published && !was_there) return published.error();
    Position taken = at;
    if (was_there) {
        LITESTREAM_TRY(check_owner(at.generation));
        const std::string name = snapshot_path(at.generation, at.index);
        LITESTREAM_ASSIGN(const auto existing, client_->trailer(name));
        if (!existing) return corrupt(client_->url() + "/" + name + ": is not a snapshot of this database's");
        LITESTREAM_TRY(client_->settle(at));
        taken = existing->end();
        note_snapshot(taken.index, existing->commits.back().time_ms);
    } else {
        note_snapshot(at.index, now_ms);
        retention_due_ = true;
    }
    has_snapshot_ = true;
    gap_.reset();
    set_position(position());
    return taken;
}

// Replay begins with the snapshot's own index: nothing before it is needed.
Status Replicator::begin_chain(const Position& at) {
    const Position from{at.generation, at.index, 0};
    if (position().generation == at.generation && !position().before(from)) return {};
    if (at.offset > 0 && !store_.has_index_from_start(at.generation, at.index)) {
        const std::string why = "the first segment of index " + to_hex16(at.index) + " is missing";
        store_.request_generation(at.generation, why);
        return Error{ErrorCode::kIo, store_.path() + ": " + why + "; it is needed for a snapshot"};
    }
    set_position(from);
    return {};
}

Status Replicator::write_snapshot(DatabaseImage& image, Trailer trailer) {
    return client_->publish(snapshot_path(trailer.generation, trailer.index),
                            [&](const Sink& sink) -> Status {
                                PayloadWriter payload(sink);
                                Bytes page(trailer.page_size);
                                for (std::uint32_t page_no = 1; page_no <= trailer.page_count; ++page_no) {
                                    if (stopping_.load()) return stopped();
                                    LITESTREAM_TRY(image.read_page(page_no, page));
                                    LITESTREAM_TRY(payload.write(page));
                                }
                                return payload.finish(&trailer);
                            });
}

}  // namespace litestream
