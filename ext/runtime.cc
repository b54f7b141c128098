#include "ext/runtime.h"

#include "vfs/shim_vfs.h"

namespace litestream {
namespace {

// One for a snapshot or a slow replica, one for the others.
constexpr int kThreads = 2;

}  // namespace

Runtime::Runtime() : scheduler_(kThreads), validations_(1), http_service_([this] { return replications(); }) {
    registry_.set_observer(this);
}

std::shared_ptr<Replication> Runtime::replication_of(const std::shared_ptr<Database>& database) {
    std::shared_ptr<Replication> replication;
    {
        const std::lock_guard lock(mutex_);
        auto& entry = replications_[database.get()];
        if (!entry) entry = std::make_shared<Replication>(database, scheduler_, validations_);
        replication = entry;
    }
    replication->resume();
    return replication;
}

std::vector<std::shared_ptr<Replication>> Runtime::replications() {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<Replication>> all;
    for (const auto& [database, replication] : replications_) all.push_back(replication);
    return all;
}

void Runtime::on_open(const std::shared_ptr<Database>& database, const char* name) {
    if (is_forked_child()) return;
    const auto replication = replication_of(database);
    if (const auto upstream = open_requests_.upstream_of(name)) replication->request_upstream(*upstream);
    const auto address = open_requests_.address_of(name);
    auto url = open_requests_.replica_of(name);
    if ((address || url) && !database->is_replica()) database->want_capture();
    if (address) http_service_.request(*address, database->path());
    if (url) replication->request(*std::move(url));
}

// A forked child has neither the threads nor a reliable state of the mutexes: it leaves everything alone.
void Runtime::on_last_close(Database& database) {
    if (is_forked_child()) return;
    std::shared_ptr<Replication> replication;
    {
        const std::lock_guard lock(mutex_);
        const auto found = replications_.find(&database);
        if (found == replications_.end()) return;
        replication = std::move(found->second);
        replications_.erase(found);
    }
    replication->finish(kFinishMs);
    http_service_.drop(database.path());
    replication->close();
}

Runtime& runtime() {
    static Runtime& only = *new Runtime;
    return only;
}

}  // namespace litestream
