#include "shared/replica/restore_plan.h"

#include "shared/base/clock.h"
#include "shared/base/text.h"

namespace litestream {
namespace {

using Kind = RestoreTarget::Kind;

std::string describe(const RestoreTarget& target) {
    switch (target.kind) {
        case Kind::kLatest:
            return "the latest state";
        case Kind::kTimestamp:
            return format_time(target.timestamp_ms);
        case Kind::kIndex:
            return "index " + to_hex16(target.index);
        case Kind::kPosition:
            return "position " + target.position.to_string();
    }
    return {};
}

Error before_oldest(const Generation& generation, const RestoreTarget& target) {
    const SnapshotFile& oldest = generation.snapshots.front();
    return bad_input(describe(target) + " is before the oldest snapshot of generation " + generation.name +
                     ": the oldest snapshot is of " + format_time(oldest.time_ms()) + ", at " +
                     oldest.position().to_string());
}

Error after_end(const Generation& generation, const RestoreTarget& target) {
    return bad_input(describe(target) + " is after the end of generation " + generation.name +
                     "; available: " + generation.snapshots.front().position().to_string() + " to " +
                     generation.newest().to_string());
}

bool can_begin_with(const SnapshotFile& snapshot, const RestoreTarget& target) {
    switch (target.kind) {
        case Kind::kLatest:
            return true;
        case Kind::kTimestamp:
            return snapshot.time_ms() <= target.timestamp_ms;
        case Kind::kIndex:
            return snapshot.info.index <= target.index;
        case Kind::kPosition:
            return !target.position.before(snapshot.position());
    }
    return false;
}

// --- files with trailers

Status check_trailer(const std::string& name, const std::optional<Trailer>& trailer, Trailer::Kind kind,
                     const Position& start) {
    if (!trailer) {
        return corrupt(name + ": has no trailer, or a damaged one, unlike other files of its generation");
    }
    if (trailer->kind != kind) return corrupt(name + ": its trailer is of another kind of file");
    const Position named{trailer->generation, trailer->index, trailer->start_offset};
    if (named == start) return {};
    return corrupt(name + ": its trailer places it at " + named.to_string() + ", its name at " +
                   start.to_string());
}

Status check_snapshot(const SnapshotFile& snapshot) {
    return check_trailer(snapshot.info.name, snapshot.trailer, Trailer::Kind::kSnapshot, snapshot.position());
}

Error broken_link(const SegmentFile& segment, const Position& expected) {
    return corrupt(segment.info.name + ": begins at " + segment.start().to_string() +
                   ", but what precedes it ends at " + expected.to_string() +
                   ": a segment is missing or was replaced");
}

// `segment` begins exactly where the plan's last one ended; the first at the start of the snapshot's index.
Status check_link(const RestorePlan& plan, const SegmentFile& segment) {
    const Trailer& next = *segment.trailer;
    if (next.page_size != plan.snapshot.trailer->page_size) {
        return corrupt(segment.info.name + ": its page size is not that of the snapshot");
    }
    if (plan.segments.empty()) {
        const Position first{next.generation, plan.snapshot.info.index, 0};
        return segment.start() == first ? Status() : broken_link(segment, first);
    }
    const Trailer& last = *plan.segments.back().trailer;
    if (next.index == last.index) {
        const bool fits = next.start_offset == last.end_offset && next.salts == last.salts;
        return fits ? Status() : broken_link(segment, last.end());
    }
    if (next.index != last.index + 1 || next.start_offset != 0) return broken_link(segment, last.end());
    if (next.previous_end == last.end_offset && next.previous_checksum == last.end_checksum) return {};
    const Position named{next.generation, last.index, next.previous_end};
    return corrupt(segment.info.name + ": says that the index before it ends at " + named.to_string() +
                   ", but the last segment there ends at " + last.end().to_string() +
                   ": a segment is missing or was replaced");
}

Position end_of(const RestorePlan& plan) {
    return plan.segments.empty() ? plan.snapshot.position() : plan.segments.back().trailer->end();
}

// Calls `visit` with every commit and its time, in order, until it answers false.
template <typename Visit>
void for_each_commit(const std::vector<SegmentFile>& segments, const Visit& visit) {
    for (const SegmentFile& segment : segments) {
        for (const Commit& commit : segment.trailer->commits) {
            if (!visit({segment.info.generation, segment.info.index, commit.end_offset}, commit.time_ms))
                return;
        }
    }
}

bool has_commit(const RestorePlan& plan, const Position& wanted) {
    bool found = false;
    for_each_commit(plan.segments, [&](const Position& commit, std::int64_t) {
        found = commit == wanted;
        return !found;
    });
    return found;
}

// Whether a segment holds only what the target does not ask for.
bool is_behind(const RestorePlan& plan, const SegmentFile& segment, const RestoreTarget& target) {
    switch (target.kind) {
        case Kind::kLatest:
            return false;
        case Kind::kTimestamp:
            // The segments up to the snapshot are read whatever their times.
            return segment.first_ms() > target.timestamp_ms &&
                   !segment.start().before(plan.snapshot.position());
        case Kind::kIndex:
            return segment.info.index > target.index;
        case Kind::kPosition:
            return !segment.start().before(target.position);
    }
    return false;
}

// The proven segments up to the target. One behind it still has to follow: it proves where an index ends.
Status add_segments(const Generation& generation, const RestoreTarget& target, RestorePlan& plan) {
    for (const SegmentFile& segment : generation.segments) {
        if (segment.info.index < plan.snapshot.info.index) continue;
        LITESTREAM_TRY(
            check_trailer(segment.info.name, segment.trailer, Trailer::Kind::kSegment, segment.start()));
        LITESTREAM_TRY(check_link(plan, segment));
        if (is_behind(plan, segment, target)) break;
        plan.segments.push_back(segment);
        if (target.kind == Kind::kPosition && !segment.trailer->end().before(target.position)) break;
    }
    return {};
}

// A snapshot is published after the segments up to its position, so these are there.
Status check_covered(const RestorePlan& plan) {
    const Position position = plan.snapshot.position();
    const bool is_before_all_frames = position.offset <= kWalHeaderSize;
    if (is_before_all_frames || has_commit(plan, position)) return {};
    std::string found = "there is no segment of its index";
    if (!plan.segments.empty()) found = "the segments end at " + end_of(plan).to_string();
    return corrupt(plan.snapshot.info.name + ": was taken at " + position.to_string() +
                   ", which is the end of no commit in the segments: " + found);
}

Error not_a_commit(const Generation& generation, const RestorePlan& plan, const RestoreTarget& target) {
    if (generation.newest().before(target.position)) return after_end(generation, target);
    Position before = plan.snapshot.position();
    Position after;
    for_each_commit(plan.segments, [&](const Position& commit, std::int64_t) {
        if (commit.before(target.position))
            before = commit;
        else
            after = commit;
        return after.empty();
    });
    return bad_input(describe(target) + " is not the end of a commit; the nearest before is " +
                     before.to_string() + (after.empty() ? "" : ", the nearest after " + after.to_string()));
}

Position last_commit_at(const RestorePlan& plan, std::int64_t time_ms) {
    const Position snapshot = plan.snapshot.position();
    Position stop;
    if (plan.snapshot.time_ms() <= time_ms) stop = snapshot;
    for_each_commit(plan.segments, [&](const Position& commit, std::int64_t commit_ms) {
        if (commit.before(snapshot)) return true;
        if (commit_ms <= time_ms) stop = commit;
        return commit_ms <= time_ms;
    });
    return stop;
}

Result<Position> find_stop(const Generation& generation, const RestorePlan& plan,
                           const RestoreTarget& target) {
    const Position end = end_of(plan);
    switch (target.kind) {
        case Kind::kLatest:
            return end;
        case Kind::kTimestamp: {
            const Position stop = last_commit_at(plan, target.timestamp_ms);
            if (stop.empty()) return before_oldest(generation, target);
            return stop;
        }
        case Kind::kIndex:
            if (end.index != target.index) return after_end(generation, target);
            return end;
        case Kind::kPosition:
            if (target.position == plan.snapshot.position()) return target.position;
            if (!has_commit(plan, target.position)) return not_a_commit(generation, plan, target);
            return target.position;
    }
    return end;
}

Status plan_with_trailers(const Generation& generation, const RestoreTarget& target, RestorePlan& plan) {
    LITESTREAM_TRY(check_snapshot(plan.snapshot));
    LITESTREAM_TRY(add_segments(generation, target, plan));
    LITESTREAM_TRY(check_covered(plan));
    LITESTREAM_ASSIGN(plan.stop, find_stop(generation, plan, target));
    plan.stop_at = RestorePlan::Stop::kCommit;
    while (!plan.segments.empty() && !plan.segments.back().start().before(plan.stop))
        plan.segments.pop_back();
    return {};
}

// --- files without

bool is_behind_by_name(const RestorePlan& plan, const SegmentFile& segment, const RestoreTarget& target) {
    switch (target.kind) {
        case Kind::kLatest:
            return false;
        case Kind::kTimestamp:
            return segment.info.created_ms > target.timestamp_ms;
        case Kind::kIndex:
            return segment.info.index > target.index;
        case Kind::kPosition:
            // The snapshot's own index is read to its end.
            if (segment.info.index > target.position.index) return true;
            return plan.stop_at == RestorePlan::Stop::kCommit && !segment.start().before(target.position);
    }
    return false;
}

Status add_segments_by_name(const Generation& generation, const RestoreTarget& target, RestorePlan& plan) {
    std::uint64_t index = plan.snapshot.info.index;
    for (const SegmentFile& segment : generation.segments) {
        if (segment.info.index < index) continue;
        if (is_behind_by_name(plan, segment, target)) break;
        const bool is_first = plan.segments.empty() || segment.info.index != plan.segments.back().info.index;
        if (is_first) {
            const Position expected{generation.name, plan.segments.empty() ? index : index + 1, 0};
            if (segment.start() != expected) {
                return corrupt(segment.info.name + ": a segment is missing, the one at " +
                               expected.to_string());
            }
            index = segment.info.index;
        }
        plan.segments.push_back(segment);
    }
    return {};
}

Status plan_by_names(const Generation& generation, const RestoreTarget& target, RestorePlan& plan) {
    plan.note = "generation " + generation.name +
                " is of Litestream's own format, which does not record where an index ends: that the last "
                "segment of each index is there could not be proven, and times are those of the files";
    if (target.kind == Kind::kPosition) {
        const bool own_index = target.position.index == plan.snapshot.info.index;
        plan.stop_at = own_index ? RestorePlan::Stop::kEnd : RestorePlan::Stop::kCommit;
        plan.stop = target.position;
    }
    LITESTREAM_TRY(add_segments_by_name(generation, target, plan));
    const std::uint64_t end =
        plan.segments.empty() ? plan.snapshot.info.index : plan.segments.back().info.index;
    const bool too_far = (target.kind == Kind::kIndex && end != target.index) ||
                         (target.kind == Kind::kPosition && end != target.position.index);
    return too_far ? Status(after_end(generation, target)) : Status();
}

}  // namespace

Result<std::size_t> choose_snapshot(const Generation& generation, const RestoreTarget& target) {
    const auto& snapshots = generation.snapshots;
    const bool is_ours = generation.is_ours();
    std::size_t end = snapshots.size();
    while (end > 0 && !can_begin_with(snapshots[end - 1], target)) --end;
    if (end == 0) {
        // It was taken some time after the commit that it holds: that commit's own time may do.
        if (is_ours && target.kind == Kind::kTimestamp) return std::size_t{0};
        return before_oldest(generation, target);
    }
    const bool own_index = !is_ours && target.kind == Kind::kPosition && end > 1 &&
                           snapshots[end - 1].info.index == target.position.index;
    return own_index ? end - 2 : end - 1;
}

Result<RestorePlan> plan_restore(const Generation& generation, std::size_t snapshot,
                                 const RestoreTarget& target) {
    RestorePlan plan;
    plan.is_ours = generation.is_ours();
    plan.snapshot = generation.snapshots[snapshot];
    LITESTREAM_TRY(plan.is_ours ? plan_with_trailers(generation, target, plan)
                                : plan_by_names(generation, target, plan));
    return plan;
}

}  // namespace litestream
