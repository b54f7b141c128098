// Replicas that a URI or the environment asks for: they are added once capture has begun, since only then the
// meta directory is there to remember them in.
#include <algorithm>
#include <utility>

#include "ext/replica_directory.h"
#include "ext/replica_setup.h"
#include "ext/replication.h"

namespace litestream {

void Replication::request(std::string url) {
    if (database_->is_replica()) {
        return set_why("replica_refused", url + ": a live replica is not replicated from here");
    }
    {
        const std::lock_guard lock(mutex_);
        if (std::find(requested_.begin(), requested_.end(), url) == requested_.end()) {
            requested_.push_back(std::move(url));
        }
        has_requests_.store(true);
    }
    request_job_->wake();
}

std::vector<std::string> Replication::take_requests() {
    const std::lock_guard lock(mutex_);
    if (requested_.empty()) has_requests_.store(false);
    return std::exchange(requested_, {});
}

// There are requests until the last one is served: whoever comes meanwhile waits for it.
void Replication::serve_requests() {
    if (!has_requests_.load() || !database_->store().is_open()) return;  // capture tells when it has begun
    const std::lock_guard serve(serve_mutex_);
    for (auto urls = take_requests(); !urls.empty(); urls = take_requests()) {
        for (const std::string& url : urls) {
            if (auto status = add_requested(url); !status) set_why("replica_refused", status.error().message);
        }
    }
}

// Whether the replica's directory can be written is the replicator's to find out, as often as it takes: it
// may be mounted later than this program starts.
Status Replication::add_requested(const std::string& url) {
    auto options = parse_replicate_options(url, std::nullopt);
    if (!options) return std::move(options).error();
    LITESTREAM_TRY(ReplicaDirectory::check_place(options->url, database_->store().path()));
    if (find(url)) return {};  // remembered, perhaps with other options
    LITESTREAM_ASSIGN(NewReplica replica, prepare_replica(*this, *options));
    LITESTREAM_TRY(add(std::move(replica)));
    return {};
}

}  // namespace litestream
