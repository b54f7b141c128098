#include "shared/replica/retention.h"

#include <algorithm>
#include <optional>

namespace litestream {
namespace {

constexpr std::size_t kBatch = 1000;  // files between two looks whether to stop; a store's largest request

// The lowest index that stays; nullopt: the generation goes.
std::optional<std::uint64_t> first_kept_index(const Generation& generation, bool is_current,
                                              std::int64_t keep_from_ms) {
    for (const SnapshotFile& snapshot : generation.snapshots) {
        if (snapshot.time_ms() >= keep_from_ms) return snapshot.info.index;
    }
    if (!is_current) return std::nullopt;
    return generation.snapshots.empty() ? 0 : generation.snapshots.back().info.index;
}

Removal removal_below(const Generation& generation, std::optional<std::uint64_t> first_kept) {
    Removal removal;
    removal.generation = generation.name;
    const auto goes = [&](const auto& file) { return !first_kept || file.info.index < *first_kept; };
    for (const SnapshotFile& snapshot : generation.snapshots) {
        if (goes(snapshot)) removal.snapshots.push_back(snapshot.info.name);
    }
    for (const SegmentFile& segment : generation.segments) {
        if (goes(segment)) removal.segments.push_back(segment.info.name);
    }
    return removal;
}

// Removes files until it is told to stop; keeps the first error.
class Remover {
  public:
    Remover(ReplicaClient& client, const std::atomic<bool>& stopping)
        : client_(client), stopping_(stopping) {}

    // False: one of them is still there.
    bool remove(const std::vector<std::string>& names) {
        const int before = count_;
        for (std::size_t at = 0; at < names.size() && !is_stopped(); at += kBatch) {
            const auto first = names.begin() + static_cast<std::ptrdiff_t>(at);
            const auto size = static_cast<std::ptrdiff_t>(std::min(kBatch, names.size() - at));
            see(stopping_.load() ? Status(Error{ErrorCode::kInterrupt, "replication is stopping"})
                                 : client_.remove_all({first, first + size}));
        }
        return count_ == before;
    }

    void remove(const Removal& removal) {
        if (!remove(removal.snapshots) || !remove(removal.segments)) return;
        see(client_.remove_remains(removal.generation));
    }

    bool is_stopped() const { return !last_ && last_.error().code == ErrorCode::kInterrupt; }

    Status status() const {
        if (count_ < 2 || is_stopped()) return is_stopped() ? last_ : first_;
        Error error = first_.error();
        error.message += "; and others elsewhere";
        return error;
    }

  private:
    void see(const Status& status) {
        if (status) return;
        if (count_++ == 0) first_ = status;
        last_ = status;
    }

    ReplicaClient& client_;
    const std::atomic<bool>& stopping_;
    Status first_;  // of the errors
    Status last_;
    int count_ = 0;
};

}  // namespace

RetentionPlan plan_retention(const std::vector<Generation>& generations, const std::string& current,
                             std::int64_t keep_from_ms) {
    RetentionPlan plan;
    plan.wants_snapshot = true;
    for (const Generation& generation : generations) {
        const bool is_current = generation.name == current;
        const auto first_kept = first_kept_index(generation, is_current, keep_from_ms);
        plan.removals.push_back(removal_below(generation, first_kept));
        if (!is_current) continue;
        plan.wants_snapshot =
            std::none_of(generation.snapshots.begin(), generation.snapshots.end(),
                         [&](const SnapshotFile& snapshot) { return snapshot.time_ms() >= keep_from_ms; });
    }
    return plan;
}

Result<std::vector<Generation>> load_snapshots(ReplicaClient& client) {
    LITESTREAM_ASSIGN(const auto names, client.generations());
    std::vector<Generation> generations;
    for (const std::string& name : names) {
        Generation generation;
        generation.name = name;
        LITESTREAM_ASSIGN(auto snapshots, client.snapshots(name));
        for (SnapshotInfo& info : snapshots) {
            LITESTREAM_ASSIGN(auto trailer, client.trailer(info.name));
            generation.snapshots.push_back({std::move(info), std::move(trailer)});
        }
        LITESTREAM_ASSIGN(auto segments, client.segments(name));
        for (SegmentInfo& info : segments) generation.segments.push_back({std::move(info), std::nullopt});
        generations.push_back(std::move(generation));
    }
    return generations;
}

Status carry_out(ReplicaClient& client, const RetentionPlan& plan, const std::atomic<bool>& stopping) {
    Remover remover(client, stopping);
    for (const Removal& removal : plan.removals) {
        if (remover.is_stopped()) break;
        remover.remove(removal);
    }
    return remover.status();
}

}  // namespace litestream
