#include "ext/replication.h"

#include <sys/stat.h>

#include <algorithm>

#include "ext/interrupt.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"
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

bool is_called(const ReplicaMember& member, const std::string& name_or_url, const std::string& url) {
    return member.spec().name == name_or_url || member.spec().url == url;
}

// One message for the wrong URL under a name, and for the wrong name or options of a URL.
Error in_the_way(const ReplicaSpec& present) {
    return bad_input("there is a replica \"" + present.name + "\" at " + present.url +
                     " already; SELECT litestream_unreplicate('" + present.name +
                     "') first, or choose another name");
}

}  // namespace

Replication::Replication(std::shared_ptr<Database> database, Scheduler& scheduler)
    : database_(std::move(database)), scheduler_(scheduler), snapshotter_(*database_) {}

Replication::~Replication() { close(); }

// --- Starting ---

void Replication::resume() {
    std::call_once(resumed_, [this] { start_remembered(); });
}

void Replication::start_remembered() {
    const std::lock_guard change(change_mutex_);
    auto remembered = read_remembered(database_->store().path());
    if (!remembered) return set_why(std::move(remembered).error().message);
    if (!*remembered || (*remembered)->replicas.empty()) return;
    const auto actual = DatabaseIdentity::of(database_->path());
    if (!actual) return set_why(actual.error().message);
    if (auto status = check_same_database((*remembered)->database, *actual); !status) {
        return set_why(std::move(status).error().message);
    }
    id_ = (*remembered)->id;
    for (const ReplicaSpec& spec : (*remembered)->replicas) start_or_keep(spec);
}

void Replication::start_or_keep(const ReplicaSpec& spec) {
    auto client = open_client(spec.url, database_->path());
    if (client) return append(start(spec, *std::move(client)));
    append(std::make_shared<ReplicaMember>(spec, client.error().message));
}

std::shared_ptr<ReplicaMember> Replication::start(const ReplicaSpec& spec,
                                                  std::unique_ptr<ReplicaClient> client) {
    ReplicatorOptions options;
    options.name = spec.name;
    options.sync_interval_ms = spec.sync_interval_ms;
    auto replicator = std::make_unique<Replicator>(std::move(options), std::move(client), database_->store(),
                                                   snapshotter_, scheduler_);
    return std::make_shared<ReplicaMember>(spec, std::move(replicator));
}

// --- Changing ---

Result<std::optional<std::string>> Replication::find_same(const ReplicaSpec& spec) const {
    for (const ReplicaSpec& present : specs()) {
        const bool same_name = present.name == spec.name;
        const bool same_url = present.url == spec.url;
        if (!same_name && !same_url) continue;
        const bool identical =
            same_url && (same_name || spec.name.empty()) && present.sync_interval_ms == spec.sync_interval_ms;
        if (!identical) return in_the_way(present);
        return std::optional(present.name);
    }
    return std::optional<std::string>();
}

Result<std::string> Replication::add(ReplicaSpec spec, std::unique_ptr<ReplicaClient> client) {
    const std::lock_guard change(change_mutex_);
    LITESTREAM_ASSIGN(auto same, find_same(spec));
    if (same) return *std::move(same);
    if (spec.name.empty()) spec.name = free_name(spec.url.substr(0, spec.url.find(':')));
    auto all = specs();
    all.push_back(spec);
    LITESTREAM_TRY(remember(all));
    append(start(spec, std::move(client)));
    set_why("");
    return spec.name;
}

Result<bool> Replication::remove(const std::string& name_or_url) {
    const std::lock_guard change(change_mutex_);
    const auto member = find(name_or_url);
    if (!member) return false;
    auto rest = specs();
    std::erase(rest, member->spec());
    LITESTREAM_TRY(remember(rest));
    {
        const std::lock_guard lock(mutex_);
        std::erase(members_, member);
    }
    member->end();
    database_->store().drop_cursor(member->spec().name);
    return true;
}

Status Replication::remember(const std::vector<ReplicaSpec>& specs) {
    Remembered remembered;
    LITESTREAM_ASSIGN(remembered.database, DatabaseIdentity::of(database_->path()));
    if (id_.empty()) id_ = random_hex(kIdBytes);
    remembered.id = id_;
    remembered.replicas = specs;
    return write_remembered(database_->store().path(), remembered);
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

void Replication::set_why(std::string why) {
    if (!why.empty()) log_line("litestream: " + database_->path() + ": " + why);
    const std::lock_guard lock(mutex_);
    why_ = std::move(why);
}

// --- Ending ---

void Replication::finish(int timeout_ms) {
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
    Members ending;
    {
        const std::lock_guard lock(mutex_);
        ending.swap(members_);
    }
    for (const auto& member : ending) member->end();
}

std::optional<std::string> canonical_url(const std::string& text) {
    auto url = Url::parse(text);
    if (!url) return std::nullopt;
    url->query.clear();
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
