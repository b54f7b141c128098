// What has to be proven before a replica is added, whoever asks for it. Thread-safe. Touches no storage.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "ext/options.h"
#include "ext/replication.h"

namespace litestream {

struct NewReplica {
    ReplicaSpec spec;
    bool adopt = false;
    std::unique_ptr<ReplicaClient> client;
    std::optional<std::string> present;  // the name under which this very replica is there already
};

// The client for the URL; no other replica or database of this process is in the way.
Result<NewReplica> prepare_replica(const Replication& replication, const ReplicateOptions& options);

}  // namespace litestream
