// litestream_replicate and litestream_unreplicate. What replicate has to prove comes first, what it changes
// comes last: options, duplicates, the replica's directory, journal mode, capture, then it is remembered.
#include <utility>

#include "ext/connection.h"
#include "ext/functions.h"
#include "ext/options.h"
#include "ext/replica_directory.h"
#include "ext/replica_setup.h"
#include "ext/runtime.h"
#include "shared/base/clock.h"
#include "shared/replica/owner.h"

namespace litestream {
namespace {

constexpr std::int64_t kCaptureStartMs = 10'000;

// Changes the journal mode to WAL if need be, and back again unless the change is kept.
class WalMode {
  public:
    static Result<WalMode> enter(sqlite3* connection, const std::string& schema) {
        WalMode mode(connection, schema);
        const std::string before = journal_mode(connection, schema);
        if (before == "wal") return mode;
        auto now = mode.change("wal");
        if (!now) return std::move(now).error().context("cannot change journal_mode to wal");
        if (*now != "wal") {
            return bad_input("journal_mode stays " + *now + ": " + schema + " cannot be a WAL database here");
        }
        mode.before_ = before;
        return mode;
    }
    WalMode(WalMode&& other) noexcept
        : connection_(other.connection_),
          schema_(std::move(other.schema_)),
          before_(std::move(other.before_)) {
        other.keep();
    }
    WalMode& operator=(WalMode&&) = delete;
    ~WalMode() {
        if (has_changed()) (void)change(before_);
    }

    bool has_changed() const { return !before_.empty(); }
    void keep() { before_.clear(); }

  private:
    WalMode(sqlite3* connection, const std::string& schema) : connection_(connection), schema_(schema) {}
    Result<std::string> change(const std::string& mode) const {
        LITESTREAM_ASSIGN(auto now,
                          query_text(connection_, "PRAGMA " + quote_name(schema_) + ".journal_mode=" + mode));
        return now.value_or("unknown");
    }

    sqlite3* connection_;
    std::string schema_;
    std::string before_;  // empty: nothing to undo
};

// Wanted from here on, and not any more if the call fails.
class WantedCapture {
  public:
    explicit WantedCapture(Database& database) : database_(database), was_wanted_(database.wants_capture()) {
        database_.want_capture();
    }
    WantedCapture(const WantedCapture&) = delete;
    WantedCapture& operator=(const WantedCapture&) = delete;
    ~WantedCapture() {
        if (!was_wanted_) database_.unwant_capture();
    }
    void keep() { was_wanted_ = true; }

  private:
    Database& database_;
    bool was_wanted_;
};

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
