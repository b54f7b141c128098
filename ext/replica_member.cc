#include "ext/replica_member.h"

#include <mutex>

namespace litestream {

ReplicatorStatus ReplicaMember::status() const {
    const std::shared_lock lock(use_mutex_);
    ReplicatorStatus status;
    if (replicator_) {
        status = replicator_->status();
        if (validation_) add_counts(status.requests, validation_->requests());
        return status;
    }
    status.name = spec_.name;
    status.url = spec_.url;
    status.state = ended_ ? "ended" : "failed";
    status.last_error = error_;
    return status;
}

void ReplicaMember::validate_periodically(Database& database, ImageSource& images, Scheduler& scheduler) {
    validation_ =
        std::make_shared<PeriodicValidation>(*this, database.path(), database.store(), images, scheduler);
}

std::optional<ValidationResult> ReplicaMember::last_validation() const {
    const std::shared_lock lock(use_mutex_);
    return validation_ ? validation_->last() : std::nullopt;
}

void ReplicaMember::sync_now() {
    const std::shared_lock lock(use_mutex_);
    if (replicator_) replicator_->sync_now();
}

ReplicaMember::Stop ReplicaMember::until_ended(const Stop& stop) const {
    return [this, &stop] { return ended_ || (stop && stop()); };
}

bool ReplicaMember::wait_for(const Position& position, int timeout_ms, const Stop& stop,
                             bool give_up_on_error) {
    const std::shared_lock lock(use_mutex_);
    return replicator_ && replicator_->wait_for(position, timeout_ms, until_ended(stop), give_up_on_error);
}

Result<Position> ReplicaMember::snapshot(int timeout_ms, const Stop& stop) {
    const std::shared_lock lock(use_mutex_);
    if (!replicator_) return bad_input(error_.empty() ? "no longer a replica" : error_);
    return replicator_->snapshot(timeout_ms, until_ended(stop));
}

void ReplicaMember::end() {
    ended_ = true;
    std::unique_ptr<Replicator> ending;
    std::shared_ptr<PeriodicValidation> validation;
    {
        const std::lock_guard lock(use_mutex_);
        ending = std::move(replicator_);
        validation = std::move(validation_);
    }
    validation.reset();  // it uses the replicator through us
}

}  // namespace litestream
