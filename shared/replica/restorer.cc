#include "shared/replica/restorer.h"

#include <limits>

#include "shared/replica/database_file.h"
#include "shared/replica/fetch_ahead.h"
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

Result<RestorePlan> make_plan(FetchCrew& crew, const RestoreOptions& options) {
    LITESTREAM_ASSIGN(const RestoreTarget target, make_target(options));
    const std::string& wanted = options.position ? options.position->generation : options.generation;
    LITESTREAM_ASSIGN(auto generations, load_generations(crew, wanted));
    LITESTREAM_ASSIGN(const std::size_t chosen, choose_generation(generations, wanted, target));
    Generation& generation = generations[chosen];
    LITESTREAM_ASSIGN(const std::size_t snapshot, choose_snapshot(generation, target));
    const std::uint64_t first = generation.snapshots[snapshot].info.index;
    LITESTREAM_TRY(load_trailers(crew, first, last_index(generation, target), generation));
    return plan_restore(generation, snapshot, target);
}

// --- The plan's files ---

class CountingSource final : public Source {
  public:
    CountingSource(std::unique_ptr<Source> source, std::uint64_t& bytes)
        : source_(std::move(source)), bytes_(bytes) {}
    Result<std::size_t> read(ByteSpan buffer) override {
        auto size = source_->read(buffer);
        if (size) bytes_ += *size;
        return size;
    }

  private:
    const std::unique_ptr<Source> source_;
    std::uint64_t& bytes_;
};

Replay::Open counting(Replay::Open open, const RestorePlan& plan, RestoreCounts& counts) {
    using Opened = Result<std::unique_ptr<Source>>;
    return [open = std::move(open), &plan, &counts](const std::string& name) -> Opened {
        LITESTREAM_ASSIGN(auto source, open(name));
        ++(name == plan.snapshot.info.name ? counts.snapshots : counts.segments);
        return Opened(std::make_unique<CountingSource>(std::move(source), counts.bytes));
    };
}

std::vector<FetchAhead::File> files_of(const RestorePlan& plan) {
    std::vector<FetchAhead::File> files = {{plan.snapshot.info.name, plan.snapshot.info.size_bytes}};
    for (const SegmentFile& segment : plan.segments) {
        files.push_back({segment.info.name, segment.info.size_bytes});
    }
    return files;
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

Result<Position> replay(Replay::Open open, DatabaseFile& database, const RestorePlan& plan,
                        const RestoreOptions& options) {
    if (options.counts != nullptr) open = counting(std::move(open), plan, *options.counts);
    return Replay(std::move(open), plan, database).run();
}

Result<Position> fetch_and_replay(FetchCrew& crew, DatabaseFile& database, const RestorePlan& plan,
                                  const RestoreOptions& options) {
    if (crew.size() == 0) {
        const auto open = [&crew](const std::string& name) { return crew.client().open(name); };
        return replay(open, database, plan, options);
    }
    FetchAhead files(crew, files_of(plan));
    LITESTREAM_TRY(files.start());
    return replay([&files](const std::string& name) { return files.open(name); }, database, plan, options);
}

Result<RestoreResult> plan_and_restore(ReplicaClient& client, DatabaseFile& database,
                                       const RestoreOptions& options) {
    FetchCrew crew(client, options.parallelism);
    LITESTREAM_ASSIGN(const RestorePlan plan, make_plan(crew, options));
    LITESTREAM_ASSIGN(Position position, fetch_and_replay(crew, database, plan, options));
    LITESTREAM_TRY(run_check(options, database.temporary_path(), !plan.is_ours));
    LITESTREAM_TRY(database.publish());
    return RestoreResult{std::move(position), plan.note};
}

}  // namespace

Result<RestoreResult> restore(ReplicaClient& client, const std::string& path, const RestoreOptions& options) {
    LITESTREAM_ASSIGN(DatabaseFile database, DatabaseFile::create(path, options.on_progress));
    auto result = plan_and_restore(client, database, options);
    if (!result) return std::move(result).error().context(client.url());
    return result;
}

}  // namespace litestream
