#include "ext/replication.h"

#include <sys/stat.h>

#include <algorithm>

#include "ext/interrupt.h"
#include "ext/replica_setup.h"
#include "shared/base/clock.h"
#include "shared/base/events.h"
#include "shared/base/log.h"
#include "shared/base/machine.h"
#include "shared/base/random.h"
#include "shared/replica/replica_client.h"

namespace litestream {
namespace {

constexpr std::size_t kIdBytes = 16;

Result<std::unique_ptr<ReplicaClient>> open_client(const std::string& url_text,
                                                   const std::string& database_path) {
    LITESTREAM_ASSIGN(const Url url, Url::parse(url_text));
    return open_replica_client(url, database_mode(database_path));
}

// How much is done at a time is no part of where a replica is; in a URL as a client gives it the key is last.
std::string place_of(const std::string& url) {
    const std::size_t at = url.rfind("parallelism=");
    const bool is_key = at != std::string::npos && at > 0 && (url[at - 1] == '?' || url[at - 1] == '&');
    return is_key ? url.substr(0, at - 1) : url;
}

bool is_called(const ReplicaMember& member, const std::string& name_or_url, const std::string& url) {
    return member.spec().name == name_or_url || place_of(member.spec().url) == place_of(url);
}

// One message for the wrong URL under a name, and for the wrong name or options of a URL.
Error in_the_way(const ReplicaSpec& present) {
    return bad_input("there is a replica \"" + present.name + "\" at " + present.url +
                     " already; SELECT litestream_unreplicate('" + present.name +
                     "') first, or choose another name");
}

}  // namespace

Replication::Replication(std::shared_ptr<Database> database, Scheduler& scheduler, Scheduler& validations)
    : database_(std::move(database)),
      scheduler_(scheduler),
      validations_(validations),
      snapshotter_(*database_) {
    request_job_ = scheduler_.add_job([this] { serve_requests(); });
    reload_job_ = scheduler_.add_job([this] { reload(); });
    subscription_ = database_->store().subscribe([this] {
        const std::uint32_t take_overs = database_->take_overs();
        if (take_overs_seen_.exchange(take_overs) != take_overs) reload_job_->wake();
        if (has_requests_.load()) request_job_->wake();
    });
}

Replication::~Replication() { close(); }

// --- Starting ---

void Replication::resume() {
    std::call_once(resumed_, [this] { start_remembered(); });
}

void Replication::start_remembered() {
    const std::lock_guard change(change_mutex_);
    auto remembered = read_remembered(database_->store().path());
    if (!remembered) return set_why("not_followed", remembered.error().message);
    if (!*remembered) return;
    const auto actual = DatabaseIdentity::of(database_->path());
    if (!actual) return set_why("not_followed", actual.error().message);
    if (auto status = check_same_database((*remembered)->database, *actual); !status) {
        if ((*remembered)->upstream && database_->is_replica()) return set_why_elsewhere(**remembered);
        if ((*remembered)->replicas.empty()) return;
        return set_why("not_followed", status.error().message);
    }
    id_ = (*remembered)->id;
    if ((*remembered)->upstream && database_->is_replica()) resume_upstream(*(*remembered)->upstream);
    for (const ReplicaSpec& spec : (*remembered)->replicas) start_or_keep(spec);
}

void Replication::reload() {
    const std::lock_guard change(change_mutex_);
    const auto remembered = read_remembered(database_->store().path());
    const auto followed = specs();
    if (remembered && !*remembered && !followed.empty()) {
        if (auto status = remember(followed); !status) set_why("not_remembered", status.error().message);
    }
    if (!remembered || !*remembered) return;
    const auto actual = DatabaseIdentity::of(database_->path());
    if (!actual || !check_same_database((*remembered)->database, *actual)) return;
    id_ = (*remembered)->id;
    const auto& wanted = (*remembered)->replicas;
    const auto is_in = [](const auto& specs, const ReplicaSpec& spec) {
        return std::find(specs.begin(), specs.end(), spec) != specs.end();
    };
    for (const auto& member : members()) {
        if (!is_in(wanted, member->spec())) end_member(member);
    }
    for (const ReplicaSpec& spec : wanted) {
        if (!is_in(followed, spec)) start_or_keep(spec);
    }
}

void Replication::start_or_keep(const ReplicaSpec& spec) {
    auto client = open_client(spec.url, database_->path());
    if (client) return append(start(spec, *std::move(client), false));
    record_event(database_->path(), "replica_error",
                 spec.name + " (" + spec.url + "): " + client.error().message);
    append(std::make_shared<ReplicaMember>(spec, client.error().message));
}

// Called with change_mutex_ held.
std::shared_ptr<ReplicaMember> Replication::start(const ReplicaSpec& spec,
                                                  std::unique_ptr<ReplicaClient> client, bool adopt) {
    ReplicatorOptions options;
    options.name = spec.name;
    options.sync_interval_ms = spec.sync_interval_ms;
    options.snapshot_interval_ms = spec.snapshot_interval_ms;
    options.retention_ms = spec.retention_ms;
    options.owner = {id_, database_->path(), machine_id()};
    options.adopt = adopt;
    auto replicator = std::make_unique<Replicator>(std::move(options), std::move(client), database_->store(),
                                                   snapshotter_, scheduler_);
    record_event(database_->path(), "replica_started", spec.name + " (" + spec.url + ")");
    auto member = std::make_shared<ReplicaMember>(spec, std::move(replicator));
    if (spec.validation_interval_ms > 0) {
        member->validate_periodically(*database_, snapshotter_, validations_);
    }
    return member;
}

// --- Changing ---

Result<std::optional<std::string>> Replication::find_same(const ReplicaSpec& spec) const {
    for (const ReplicaSpec& present : specs()) {
        const bool same_name = present.name == spec.name;
        const bool same_url = present.url == spec.url;
        if (!same_name && !same_url) continue;
        ReplicaSpec wanted = spec;
        if (wanted.name.empty()) wanted.name = present.name;
        const bool identical = wanted == present;
        if (!identical) return in_the_way(present);
        return std::optional(present.name);
    }
    return std::optional<std::string>();
}

Result<std::string> Replication::add(NewReplica replica) {
    ReplicaSpec& spec = replica.spec;
    const std::lock_guard change(change_mutex_);
    LITESTREAM_ASSIGN(auto same, find_same(spec));
    if (same) return *std::move(same);
    if (spec.name.empty()) spec.name = free_name(spec.url.substr(0, spec.url.find(':')));
    auto all = specs();
    all.push_back(spec);
    LITESTREAM_TRY(remember(all));
    append(start(spec, std::move(replica.client), replica.adopt));
    set_why("", "");
    return spec.name;
}

Result<Owner> Replication::owner() {
    const std::lock_guard change(change_mutex_);
    if (!is_remembered(database_->store().path())) {
        LITESTREAM_TRY(remember(specs()));
    } else if (id_.empty()) {
        id_ = random_hex(kIdBytes);  // what is remembered of another file stays until this one is set up
    }
    return Owner{id_, database_->path(), machine_id()};
}

void Replication::forget_id() {
    const std::lock_guard change(change_mutex_);
    if (forget_remembered(database_->store().path())) id_.clear();
}

void Replication::adopt(const std::string& name, std::unique_ptr<ReplicaClient> client) {
    const std::lock_guard change(change_mutex_);
    const auto member = find(name);
    if (!member || member->status().state != "fenced") return;
    member->end();
    const auto again = start(member->spec(), std::move(client), true);
    const std::lock_guard lock(mutex_);
    std::replace(members_.begin(), members_.end(), member, again);
}

Result<bool> Replication::remove(const std::string& name_or_url) {
    const std::lock_guard change(change_mutex_);
    const auto member = find(name_or_url);
    if (!member) return false;
    if (database_->is_standing_by()) {
        return bad_input(database_->path() + ": " + database_->capture_error() + "; call this there");
    }
    auto rest = specs();
    std::erase(rest, member->spec());
    LITESTREAM_TRY(remember(rest));
    end_member(member);
    return true;
}

void Replication::end_member(const std::shared_ptr<ReplicaMember>& member) {
    {
        const std::lock_guard lock(mutex_);
        std::erase(members_, member);
    }
    member->end();
    record_event(database_->path(), "replica_stopped",
                 member->spec().name + " (" + member->spec().url + "): forgotten");
    database_->store().drop_cursor(member->spec().name);
}

Status Replication::remember(const std::vector<ReplicaSpec>& specs) {
    Remembered remembered;
    LITESTREAM_ASSIGN(remembered.database, DatabaseIdentity::of(database_->path()));
    remembered.id = id_.empty() ? random_hex(kIdBytes) : id_;
    remembered.replicas = specs;
    remembered.upstream = upstream();
    LITESTREAM_TRY(write_remembered(database_->store().path(), remembered));
    id_ = remembered.id;
    return {};
}

std::string Replication::free_name(const std::string& wish) const {
    std::string name = wish;
    for (int number = 2; find(name); ++number) name = wish + std::to_string(number);
    return name;
}

// --- Looking ---

Replication::Members Replication::members() const {
    const std::lock_guard lock(mutex_);
    return members_;
}

std::vector<ReplicaSpec> Replication::specs() const {
    std::vector<ReplicaSpec> specs;
    for (const auto& member : members()) specs.push_back(member->spec());
    return specs;
}

std::shared_ptr<ReplicaMember> Replication::find(const std::string& name_or_url) const {
    const std::string url = canonical_url(name_or_url).value_or(name_or_url);
    const Members all = members();
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const auto& member) { return is_called(*member, name_or_url, url); });
    return found == all.end() ? nullptr : *found;
}

std::vector<ReplicatorStatus> Replication::statuses() const {
    std::vector<ReplicatorStatus> statuses;
    for (const auto& member : members()) statuses.push_back(member->status());
    return statuses;
}

std::string Replication::why() const {
    const std::lock_guard lock(mutex_);
    return why_;
}

void Replication::append(std::shared_ptr<ReplicaMember> member) {
    const std::lock_guard lock(mutex_);
    members_.push_back(std::move(member));
}

void Replication::set_why(const char* kind, const std::string& why) {
    if (!why.empty()) {
        log_line("litestream: " + database_->path() + ": " + why);
        record_event(database_->path(), kind, why);
    }
    const std::lock_guard lock(mutex_);
    why_ = why;
}

// --- Ending ---

void Replication::finish(int timeout_ms) {
    serve_requests();
    const Position end = database_->store().end();
    if (end.empty()) return;
    const std::int64_t deadline_ms = steady_clock_ms() + timeout_ms;
    const Members all = members();
    for (const auto& member : all) member->sync_now();
    for (const auto& member : all) {
        const std::int64_t left_ms = std::max<std::int64_t>(deadline_ms - steady_clock_ms(), 0);
        member->wait_for(end, static_cast<int>(left_ms), nullptr, true);
    }
}

void Replication::close() {
    stop_following("the database was closed");
    if (request_job_) database_->store().unsubscribe(subscription_);
    request_job_.reset();
    reload_job_.reset();
    Members ending;
    {
        const std::lock_guard lock(mutex_);
        ending.swap(members_);
    }
    for (const auto& member : ending) {
        member->end();
        record_event(database_->path(), "replica_stopped",
                     member->spec().name + " (" + member->spec().url + "): the database was closed");
    }
}

std::optional<std::string> canonical_url(const std::string& text) {
    const auto url = parse_replica_url(text);
    if (!url) return std::nullopt;
    auto client = open_replica_client(*url);
    if (!client) return std::nullopt;
    return (*client)->url();
}

unsigned database_mode(const std::string& database_path) {
    struct stat status = {};
    if (::lstat(database_path.c_str(), &status) != 0) return 0600;
    return status.st_mode & 0666;
}

}  // namespace litestream
