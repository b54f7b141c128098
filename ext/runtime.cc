#include "ext/runtime.h"

#include "vfs/shim_vfs.h"

namespace litestream {
namespace {

// One for a snapshot or a slow replica, one for the others.
constexpr int kThreads = 2;

}  // namespace

Runtime::Runtime() : scheduler_(kThreads), validations_(1) { registry_.set_observer(this); }

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
    auto url = open_requests_.replica_of(name);
    if (!url) return;
    database->want_capture();
    replication->request(*std::move(url));
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
    replication->close();
}

Runtime& runtime() {
    static Runtime& only = *new Runtime;
    return only;
}

}  // namespace litestream
