// litestream_version, litestream_status and litestream_position: what is, without changing anything; and
// litestream_set_default_vfs, which changes no database.
#include <boost/json.hpp>

#include "ext/connection.h"
#include "ext/functions.h"
#include "ext/runtime.h"
#include "ext/service_status.h"
#include "ext/upstream.h"
#include "shared/base/json.h"
#include "vfs/shim_vfs.h"

namespace litestream {
namespace {

constexpr std::int64_t kPositionWaitMs = 1000;

std::string file_name(sqlite3* connection, const Target& target) {
    if (target.database) return target.database->path();
    const char* file = sqlite3_db_filename(connection, target.schema.c_str());
    return file == nullptr ? "" : file;
}

// The first thing that an operator should know: not captured, not followed, or in trouble.
std::string why(sqlite3* connection, const Target& target, const Replication* replication) {
    if (target.database && target.database->is_replica()) return why_replica(*replication, target.schema);
    if (auto reason = why_not_captured(connection, target)) return *std::move(reason);
    if (std::string reason = replication->why(); !reason.empty()) return reason;
    return target.database->capture_error();
}

std::string status_text(const Call& call, const Target& target) {
    sqlite3* connection = call.connection();
    const auto replication = target.database ? runtime().replication_of(target.database) : nullptr;
    DatabaseFacts facts;
    facts.path = file_name(connection, target);
    // The pragmas read from the database, if SQLite has not done so yet; only then its WAL is open.
    facts.journal_mode = journal_mode(connection, target.schema);
    facts.page_size = page_size(connection, target.schema);
    facts.why = why(connection, target, replication.get());
    return to_indented_json(status_json(replication.get(), facts, runtime().http_service().status()));
}

}  // namespace

Result<SqlValue> litestream_version(const Call&) { return SqlValue(std::string(LITESTREAM_VERSION)); }

Result<SqlValue> litestream_status(const Call& call) {
    LITESTREAM_ASSIGN(const Target target, find_target(call, 0));
    return SqlValue(status_text(call, target));
}

Result<SqlValue> litestream_position(const Call& call) {
    LITESTREAM_ASSIGN(const Target target, find_target(call, 0));
    if (!target.database) return SqlValue();
    if (target.database->is_replica()) {
        return text_or_null(replica_state(*target.database).position.to_string());
    }
    touch(call.connection(), target);
    if (why_not_captured(call.connection(), target)) return SqlValue();
    Waiting waiting(call.connection(), kPositionWaitMs);
    const bool is_captured = target.database->wait_captured(waiting.left_ms(), waiting.stop());
    if (!is_captured && waiting.is_interrupted()) return call.in_call(waiting.failure(""));
    return text_or_null(target.database->store().end().to_string());
}

Result<SqlValue> litestream_set_default_vfs(const Call& call) {
    LITESTREAM_ASSIGN(const bool on, call.flag(0, "on"));
    return SqlValue(std::int64_t{set_default_vfs(on)});
}

}  // namespace litestream
