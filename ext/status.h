// DatabaseStatus: what status and the tables say about one database of this process. Thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ext/replication.h"

namespace litestream {

struct DatabaseStatus {
    std::string path;
    bool is_captured = false;
    bool is_replica = false;
    std::string generation;
    std::string generation_reason;
    Position position;
    std::uint64_t pending_bytes = 0;  // committed, and not in every replica (without replicas: not captured)
    std::uint64_t local_bytes = 0;
    std::vector<ReplicatorStatus> replicas;

    const char* role() const { return is_replica ? "replica" : is_captured ? "primary" : "none"; }
};

DatabaseStatus status_of(const Replication& replication);

// Seconds behind the database; nullopt: it never had everything.
std::optional<double> lag_seconds(const ReplicatorStatus& replica);

}  // namespace litestream
