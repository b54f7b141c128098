#include "shared/replica/restorer.h"

#include <limits>

#include "shared/replica/database_file.h"
#include "shared/replica/generation_choice.h"
#include "shared/replica/replay.h"

namespace litestream {
namespace {

using Kind = RestoreTarget::Kind;

Result<RestoreTarget> make_target(const RestoreOptions& options) {
    const int given = int{options.timestamp_ms.has_value()} + int{options.index.has_value()} +
                      int{options.position.has_value()};
    if (given > 1) return bad_input("timestamp, index and position exclude each other: give one of them");
    if (!options.generation.empty() && !is_generation_name(options.generation)) {
        return bad_input("generation \"" + options.generation + "\" is not 16 hexadecimal digits");
    }
    if (options.timestamp_ms) return RestoreTarget{Kind::kTimestamp, *options.timestamp_ms, 0, {}};
    if (options.index) return RestoreTarget{Kind::kIndex, 0, *options.index, {}};
    if (!options.position) return RestoreTarget{};
    const Position& position = *options.position;
    if (!is_generation_name(position.generation)) return bad_input("the position names no generation");
    if (!options.generation.empty() && options.generation != position.generation) {
        return bad_input("position " + position.to_string() + " is not of generation " + options.generation);
    }
    return RestoreTarget{Kind::kPosition, 0, 0, position};
}

// The first index that has data behind the target's: its first segment proves where the target's ends.
std::uint64_t last_index(const Generation& generation, const RestoreTarget& target) {
    constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();
    if (target.kind == Kind::kLatest || target.kind == Kind::kTimestamp) return kAll;
    const std::uint64_t wanted = target.kind == Kind::kIndex ? target.index : target.position.index;
    for (const SegmentFile& segment : generation.segments) {
        if (segment.info.index > wanted) return segment.info.index;
    }
    return kAll;
}

Result<RestorePlan> make_plan(ReplicaClient& client, const RestoreOptions& options) {
    LITESTREAM_ASSIGN(const RestoreTarget target, make_target(options));
    LITESTREAM_ASSIGN(auto generations, load_generations(client));
    const std::string& wanted = options.position ? options.position->generation : options.generation;
    LITESTREAM_ASSIGN(const std::size_t chosen, choose_generation(generations, wanted, target));
    Generation& generation = generations[chosen];
    LITESTREAM_ASSIGN(const std::size_t snapshot, choose_snapshot(generation, target));
    const std::uint64_t first = generation.snapshots[snapshot].info.index;
    LITESTREAM_TRY(load_trailers(client, first, last_index(generation, target), generation));
    return plan_restore(generation, snapshot, target);
}

// Whoever opened the database to check it may have left these.
void remove_side_files(const std::string& path) {
    for (const char* suffix : {"-wal", "-shm", "-journal"}) static_cast<void>(remove_file(path + suffix));
}

Status run_check(const RestoreOptions& options, const std::string& path, bool needed) {
    if (!options.check) return {};
    auto status = options.check(path, needed);
    remove_side_files(path);
    return status;
}

Result<RestoreResult> restore_into(ReplicaClient& client, DatabaseFile& database, const RestorePlan& plan,
                                   const RestoreOptions& options) {
    Replay replay(client, plan, database);
    LITESTREAM_ASSIGN(Position position, replay.run());
    LITESTREAM_TRY(run_check(options, database.temporary_path(), !plan.is_ours));
    LITESTREAM_TRY(database.publish());
    return RestoreResult{std::move(position), plan.note};
}

Result<RestoreResult> plan_and_restore(ReplicaClient& client, DatabaseFile& database,
                                       const RestoreOptions& options) {
    LITESTREAM_ASSIGN(const RestorePlan plan, make_plan(client, options));
    return restore_into(client, database, plan, options);
}

}  // namespace

Result<RestoreResult> restore(ReplicaClient& client, const std::string& path, const RestoreOptions& options) {
    LITESTREAM_ASSIGN(DatabaseFile database, DatabaseFile::create(path, options.on_progress));
    auto result = plan_and_restore(client, database, options);
    if (!result) return std::move(result).error().context(client.url());
    return result;
}

}  // namespace litestream
