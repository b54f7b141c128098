#include "ext/replica_setup.h"

#include "ext/runtime.h"
#include "shared/replica/replica_client.h"

namespace litestream {
namespace {

// Two databases in one directory would spoil each other.
Status check_unused_elsewhere(const Replication& ours, const std::string& url) {
    for (const auto& replication : runtime().replications()) {
        if (replication.get() == &ours) continue;
        for (const auto& member : replication->members()) {
            if (member->spec().url != url) continue;
            return bad_input(url + " is a replica of " + replication->database().path() +
                             "; every database needs a URL of its own");
        }
    }
    return {};
}

}  // namespace

Result<NewReplica> prepare_replica(const Replication& replication, const ReplicateOptions& options) {
    NewReplica replica;
    const unsigned mode = database_mode(replication.database().path());
    LITESTREAM_ASSIGN(replica.client, open_replica_client(options.url, mode));
    replica.spec = options.spec;
    replica.spec.url = replica.client->url();
    replica.adopt = options.adopt;
    LITESTREAM_ASSIGN(replica.present, replication.find_same(replica.spec));
    if (!replica.present) LITESTREAM_TRY(check_unused_elsewhere(replication, replica.spec.url));
    return replica;
}

}  // namespace litestream
