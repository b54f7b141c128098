#include "ext/status.h"

#include <algorithm>

#include "ext/upstream.h"
#include "shared/base/clock.h"

namespace litestream {

DatabaseStatus status_of(const Replication& replication) {
    const Database& database = replication.database();
    const SegmentStore& store = database.store();
    DatabaseStatus status;
    status.path = database.path();
    status.generation = store.generation();
    status.is_captured = database.wants_capture() && database.is_mapped() && !status.generation.empty();
    status.generation_reason = store.generation_reason();
    status.position = store.end();
    status.is_replica = database.is_replica();
    if (status.is_replica) {
        status.position = replica_state(database).position;
        status.generation = status.position.generation;
    }
    status.local_bytes = store.local_bytes();
    status.replicas = replication.statuses();
    for (const auto& replica : status.replicas) {
        status.pending_bytes = std::max(status.pending_bytes, replica.pending_bytes);
    }
    status.pending_bytes += database.pending_wal_bytes();
    return status;
}

std::optional<double> lag_seconds(const ReplicatorStatus& replica) {
    if (replica.synced_ms == 0 || replica.position.empty()) return std::nullopt;
    // An error of a replica that is "ok" is about its old files.
    if (replica.pending_bytes == 0 && (replica.last_error.empty() || replica.state == "ok")) return 0.0;
    return static_cast<double>(std::max<std::int64_t>(wall_clock_ms() - replica.synced_ms, 0)) / 1000;
}

}  // namespace litestream
