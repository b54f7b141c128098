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

// Marks the replica as this database's before it is remembered, and takes the mark away unless it is kept.
// What is another database's is refused at once. Where the storage does not answer, the replicator will ask.
class Claim {
  public:
    static Result<Claim> make(Replication& replication, NewReplica& replica, const Url& url) {
        Claim claim(url);
        const auto before = read_owner(*replica.client);
        const std::string generation = replication.database().store().generation();
        const auto refusal = litestream::claim(*replica.client, replication.owner(), generation,
                                               replica.adopt, wall_clock_ms());
        if (refusal && !refusal->empty()) return bad_input(*refusal);
        claim.is_kept_ = !refusal || !before || *before;
        return claim;
    }
    Claim(Claim&& other) noexcept
        : url_(std::move(other.url_)), is_kept_(std::exchange(other.is_kept_, true)) {}
    Claim& operator=(Claim&&) = delete;
    ~Claim() {
        if (is_kept_) return;
        if (auto client = open_replica_client(url_)) (void)(*client)->remove(kOwnerName);
    }
    void keep() { is_kept_ = true; }

  private:
    explicit Claim(Url url) : url_(std::move(url)) {}
    Url url_;
    bool is_kept_ = true;
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
