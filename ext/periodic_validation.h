// PeriodicValidation: validates one replica from time to time, an interval after the last time at the
// earliest, and only if something was committed since: an idle database has no timer.
//
// Thread-safe. The work is a job on a scheduler of its own, where it may wait for replicators. mutex_ is
// innermost.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "shared/base/scheduler.h"
#include "shared/replica/replica_client.h"
#include "shared/store/database_image.h"
#include "shared/store/segment_store.h"

namespace litestream {

class ReplicaMember;

struct ValidationResult {
    std::int64_t time_ms = 0;  // wall clock
    bool ok = false;
    Position position;
    std::string error;
};

class PeriodicValidation {
  public:
    // All references outlive this.
    PeriodicValidation(ReplicaMember& member, std::string database_path, SegmentStore& store,
                       ImageSource& images, Scheduler& scheduler);
    ~PeriodicValidation();  // interrupts the work at hand and waits for it
    PeriodicValidation(const PeriodicValidation&) = delete;
    PeriodicValidation& operator=(const PeriodicValidation&) = delete;

    std::optional<ValidationResult> last() const;
    RequestCounts requests() const;  // of all that ended

  private:
    void work();
    ValidationResult validate();
    void set_reading(ReplicaClient* client);
    void record(ValidationResult result);

    ReplicaMember& member_;
    const std::string database_path_;
    SegmentStore& store_;
    ImageSource& images_;
    std::atomic<bool> stopping_ = false;
    std::atomic<bool> is_armed_ = true;            // a run is due, or under way
    std::atomic<std::int64_t> not_before_ms_ = 0;  // steady clock
    Position validated_;                           // the job only

    mutable std::mutex mutex_;
    // Guarded by mutex_:
    std::optional<ValidationResult> last_;
    RequestCounts requests_;
    ReplicaClient* reading_ = nullptr;  // of the work at hand

    std::unique_ptr<Scheduler::Job> job_;
    int subscription_ = 0;
};

}  // namespace litestream
