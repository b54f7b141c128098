#include "ext/periodic_validation.h"

#include "ext/validation.h"
#include "shared/base/clock.h"
#include "shared/base/events.h"

namespace litestream {
namespace {

Result<std::unique_ptr<ReplicaClient>> open_client(const std::string& url_text) {
    LITESTREAM_ASSIGN(const Url url, Url::parse(url_text));
    return open_replica_client(url);
}

}  // namespace

PeriodicValidation::PeriodicValidation(ReplicaMember& member, std::string database_path, SegmentStore& store,
                                       ImageSource& images, Scheduler& scheduler)
    : member_(member), database_path_(std::move(database_path)), store_(store), images_(images) {
    not_before_ms_.store(steady_clock_ms() + member_.spec().validation_interval_ms);
    job_ = scheduler.add_job([this] { work(); });
    subscription_ = store_.subscribe([this] {
        if (!is_armed_.exchange(true)) job_->wake_at(not_before_ms_.load());
    });
    job_->wake_at(not_before_ms_.load());
}

PeriodicValidation::~PeriodicValidation() {
    stopping_.store(true);
    store_.unsubscribe(subscription_);
    {
        const std::lock_guard lock(mutex_);
        if (reading_ != nullptr) reading_->cancel();
    }
    job_.reset();
}

std::optional<ValidationResult> PeriodicValidation::last() const {
    const std::lock_guard lock(mutex_);
    return last_;
}

RequestCounts PeriodicValidation::requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
}

// Disarmed before it looks: a commit that comes later arms it again, for an interval from now.
void PeriodicValidation::work() {
    not_before_ms_.store(steady_clock_ms() + member_.spec().validation_interval_ms);
    is_armed_.store(false);
    const Position end = store_.end();
    if (stopping_.load() || end == validated_) return;
    ValidationResult result = validate();
    if (stopping_.load()) return;
    validated_ = end;
    record(std::move(result));
}

// Null: no longer.
void PeriodicValidation::set_reading(ReplicaClient* client) {
    const std::lock_guard lock(mutex_);
    reading_ = client;
    if (client != nullptr && stopping_.load()) client->cancel();
}

ValidationResult PeriodicValidation::validate() {
    ValidationResult result;
    ValidationRequest request;
    request.directory = validation_directory(database_path_);
    request.stop = [this] { return stopping_.load(); };
    LiveDatabase live{images_, member_};
    auto client = open_client(member_.spec().url);
    const auto forget = [](PeriodicValidation* validation) { validation->set_reading(nullptr); };
    const std::unique_ptr<PeriodicValidation, decltype(forget)> reading(this, forget);  // also if it throws
    if (client) set_reading(client->get());
    auto validation =
        client ? validate_replica(**client, &live, request) : Result<Validation>(client.error());
    if (client) {
        const std::lock_guard lock(mutex_);
        add_counts(requests_, (*client)->request_counts());
    }
    result.time_ms = wall_clock_ms();
    result.ok = validation && validation->report.ok;
    if (validation) result.position = validation->report.position;
    if (!result.ok) result.error = validation ? validation->report.error : validation.error().message;
    return result;
}

void PeriodicValidation::record(ValidationResult result) {
    const std::lock_guard lock(mutex_);
    const bool is_news = !last_ || last_->error != result.error;
    if (is_news) {
        const std::string detail = result.ok ? "restores at " + result.position.to_string() : result.error;
        record_event(database_path_, result.ok ? "validated" : "validation_failed",
                     member_.spec().name + " (" + member_.spec().url + "): " + detail);
    }
    last_ = std::move(result);
}

}  // namespace litestream
