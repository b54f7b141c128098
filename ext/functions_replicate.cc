// litestream_replicate and litestream_unreplicate. What replicate has to prove comes first, what it changes
// comes last: options, duplicates, the replica's directory, journal mode, capture, then it is remembered.
#include <utility>

#include "ext/connection.h"
#include "ext/functions.h"
#include "ext/options.h"
#include "ext/replica_directory.h"
#include "ext/replica_setup.h"
#include "ext/runtime.h"
#include "ext/wal_mode.h"
#include "shared/base/clock.h"
#include "shared/replica/owner.h"

namespace litestream {
namespace {

constexpr std::int64_t kCaptureStartMs = 10'000;

Status check_read_only(const Call& call, const Target& target) {
    if (sqlite3_db_readonly(call.connection(), target.schema.c_str()) != 1) return {};
    return bad_input(target.schema + " is open read-only; replicate it where it is written");
}

// What asking again will not change.
bool is_final(ErrorCode code) {
    return code == ErrorCode::kAuth || code == ErrorCode::kCorrupt || code == ErrorCode::kCantOpen;
}

// Marks the replica as this database's before it is remembered, and takes the mark away unless it is kept.
// What is another database's is refused at once, and so are a damaged mark, a bucket that does not exist, and
// credentials that are missing or wrong. Where the storage does not answer, the replicator will ask.
class Claim {
  public:
    static Result<Claim> make(Replication& replication, NewReplica& replica, const Url& url) {
        Claim claim(replication, url);
        claim.has_new_id_ = !is_remembered(replication.database().store().path());
        const auto before = read_owner(*replica.client);
        const std::string generation = replication.database().store().generation();
        LITESTREAM_ASSIGN(const Owner owner, replication.owner());
        const auto refusal =
            litestream::claim(*replica.client, owner, generation, replica.adopt, wall_clock_ms());
        if (refusal && !refusal->empty()) return bad_input(*refusal);
        const bool is_first = before && !*before;
        if (!refusal && is_final(refusal.error().code)) {
            claim.has_marked_ = is_first && is_marked(*replica.client, owner);
            return refusal.error();
        }
        claim.has_marked_ = refusal && is_first;
        return claim;
    }
    Claim(Claim&& other) noexcept
        : replication_(other.replication_),
          url_(std::move(other.url_)),
          has_new_id_(std::exchange(other.has_new_id_, false)),
          has_marked_(std::exchange(other.has_marked_, false)) {}
    Claim& operator=(Claim&&) = delete;
    // The mark first: it must not outlive the id in it.
    ~Claim() {
        if (has_marked_) {
            if (auto client = open_replica_client(url_)) (void)(*client)->remove(kOwnerName);
        }
        if (has_new_id_) replication_.forget_id();
    }
    void keep() { has_new_id_ = has_marked_ = false; }

  private:
    // What failed was perhaps only the sync behind it.
    static bool is_marked(ReplicaClient& client, const Owner& owner) {
        const auto record = read_owner(client);
        return record && *record && (*record)->owner.id == owner.id;
    }
    Claim(Replication& replication, Url url) : replication_(replication), url_(std::move(url)) {}

    Replication& replication_;
    Url url_;
    bool has_new_id_ = false;
    bool has_marked_ = false;
};

Result<SqlValue> adopt_present(Replication& replication, NewReplica replica) {
    const std::string name = *replica.present;
    if (replica.adopt) replication.adopt(name, std::move(replica.client));
    return SqlValue(name);
}

Result<SqlValue> replicate(const Call& call, const Target& target, const ReplicateOptions& options) {
    LITESTREAM_TRY(check_read_only(call, target));
    LITESTREAM_TRY(refuse_replica(target));
    const auto replication = runtime().replication_of(target.database);
    LITESTREAM_ASSIGN(NewReplica replica, prepare_replica(*replication, options));
    if (replica.present) return adopt_present(*replication, std::move(replica));
    const unsigned mode = database_mode(target.database->path());
    LITESTREAM_ASSIGN(auto directory,
                      ReplicaDirectory::prepare(options.url, mode, target.database->store().path()));
    LITESTREAM_ASSIGN(auto wal, WalMode::enter(call.connection(), target.schema));
    WantedCapture wanted(*target.database);
    Waiting waiting(call.connection(), kCaptureStartMs);
    LITESTREAM_TRY(wait_for_capture(call.connection(), target, waiting));
    LITESTREAM_ASSIGN(auto claim, Claim::make(*replication, replica, options.url));
    LITESTREAM_ASSIGN(std::string name, replication->add(std::move(replica)));
    if (wal.has_changed()) name += " (journal_mode is now wal)";
    claim.keep();
    directory.keep();
    wal.keep();
    wanted.keep();
    return SqlValue(name);
}

}  // namespace

Result<SqlValue> litestream_replicate(const Call& call) {
    LITESTREAM_ASSIGN(const std::string url, call.text(0, "url"));
    LITESTREAM_ASSIGN(const auto text, call.optional_text(1, "options"));
    auto options = parse_replicate_options(url, text);
    if (!options) return call.in_call(std::move(options).error());
    LITESTREAM_ASSIGN(const Target target, require_database(call, 2));
    LITESTREAM_TRY(refuse_transaction(call));
    auto name = replicate(call, target, *options);
    if (!name) return call.in_call(std::move(name).error());
    return name;
}

Result<SqlValue> litestream_unreplicate(const Call& call) {
    LITESTREAM_ASSIGN(const std::string name_or_url, call.text(0, "name_or_url"));
    LITESTREAM_ASSIGN(const Target target, require_database(call, 1));
    LITESTREAM_TRY(refuse_transaction(call));
    auto removed = runtime().replication_of(target.database)->remove(name_or_url);
    if (!removed) return call.in_call(std::move(removed).error());
    return SqlValue(std::int64_t{*removed});
}

}  // namespace litestream
