// Runtime: the one global of the module. It owns the registry of open databases, the threads that replicate,
// the HTTP server, and the replication of each database. Made in the entry point and never destroyed: the
// host's other threads may still be in our VFS when the process exits.
//
// Thread-safe. mutex_ is held for the map only, never across I/O, waiting or SQL.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "ext/http_service.h"
#include "ext/open_request.h"
#include "ext/replication.h"
#include "shared/base/scheduler.h"
#include "vfs/registry.h"

namespace litestream {

// How long the last close of a database waits for replicas that are well.
constexpr int kFinishMs = 2000;

class Runtime final : public RegistryObserver {
  public:
    Runtime();

    Registry& registry() { return registry_; }
    HttpService& http_service() { return http_service_; }
    std::shared_ptr<Replication> replication_of(const std::shared_ptr<Database>& database);
    std::vector<std::shared_ptr<Replication>> replications();

    void on_open(const std::shared_ptr<Database>& database, const char* name) override;
    void on_last_close(Database& database) override;

  private:
    Scheduler scheduler_;
    Scheduler validations_;
    Registry registry_;
    OpenRequests open_requests_;
    std::mutex mutex_;
    std::map<const Database*, std::shared_ptr<Replication>> replications_;  // guarded by mutex_
    HttpService http_service_;
};

Runtime& runtime();

}  // namespace litestream
