// litestream_version, litestream_status and litestream_position: what is, without changing anything; and
// litestream_set_default_vfs, which changes no database.
#include <boost/json.hpp>

#include "ext/connection.h"
#include "ext/functions.h"
#include "ext/runtime.h"
#include "ext/status.h"
#include "shared/base/clock.h"
#include "shared/base/json.h"
#include "vfs/shim_vfs.h"

namespace litestream {
namespace {

namespace json = boost::json;

constexpr std::int64_t kPositionWaitMs = 1000;

json::value or_null(const std::string& text) {
    if (text.empty()) return nullptr;
    return json::value(text);
}

json::value to_json(const std::optional<ValidationResult>& validation) {
    if (!validation) return nullptr;
    return json::object{{"time", format_time(validation->time_ms)},
                        {"ok", validation->ok},
                        {"position", or_null(validation->position.to_string())},
                        {"error", or_null(validation->error)}};
}

json::object to_json(const ReplicaMember& member) {
    const ReplicatorStatus replica = member.status();
    const auto lag = lag_seconds(replica);
    json::object object;
    object["name"] = replica.name;
    object["url"] = replica.url;
    object["state"] = replica.state;
    object["position"] = or_null(replica.position.to_string());
    object["lag_seconds"] = lag ? json::value(*lag) : json::value(nullptr);
    object["last_error"] = or_null(replica.last_error);
    object["validation"] = to_json(member.last_validation());
    return object;
}

json::array replicas_json(const Replication* replication) {
    json::array array;
    if (replication == nullptr) return array;
    for (const auto& member : replication->members()) array.push_back(to_json(*member));
    return array;
}

json::value page_size(sqlite3* connection, const std::string& schema) {
    auto size = query_text(connection, "PRAGMA " + quote_name(schema) + ".page_size");
    if (!size || !*size) return nullptr;
    return std::strtoll((*size)->c_str(), nullptr, 10);
}

std::string file_name(sqlite3* connection, const Target& target) {
    if (target.database) return target.database->path();
    const char* file = sqlite3_db_filename(connection, target.schema.c_str());
    return file == nullptr ? "" : file;
}

// The first thing that an operator should know: not captured, not followed, or in trouble.
std::string why(sqlite3* connection, const Target& target, const Replication* replication) {
    if (auto reason = why_not_captured(connection, target)) return *std::move(reason);
    if (std::string reason = replication->why(); !reason.empty()) return reason;
    return target.database->capture_error();
}

json::object status_json(const Call& call, const Target& target) {
    sqlite3* connection = call.connection();
    const auto replication = target.database ? runtime().replication_of(target.database) : nullptr;
    // The pragmas read from the database, if SQLite has not done so yet; only then its WAL is open.
    const std::string mode = journal_mode(connection, target.schema);
    const json::value size = page_size(connection, target.schema);
    const DatabaseStatus status = replication ? status_of(*replication) : DatabaseStatus();
    json::object object;
    object["version"] = LITESTREAM_VERSION;
    object["database"] = or_null(file_name(connection, target));
    object["role"] = status.role();
    object["why"] = or_null(why(connection, target, replication.get()));
    object["journal_mode"] = or_null(mode);
    object["page_size"] = size;
    object["generation"] = or_null(status.generation);
    object["generation_reason"] = or_null(status.generation_reason);
    object["position"] = or_null(status.position.to_string());
    object["pending_bytes"] = status.pending_bytes;
    object["local_bytes"] = status.local_bytes;
    object["replicas"] = replicas_json(replication.get());
    object["upstream"] = nullptr;
    object["server"] = nullptr;
    object["streams"] = json::array();
    object["synchronous"] = "OFF";
    return object;
}

}  // namespace

Result<SqlValue> litestream_version(const Call&) { return SqlValue(std::string(LITESTREAM_VERSION)); }

Result<SqlValue> litestream_status(const Call& call) {
    LITESTREAM_ASSIGN(const Target target, find_target(call, 0));
    return SqlValue(to_indented_json(status_json(call, target)));
}

Result<SqlValue> litestream_position(const Call& call) {
    LITESTREAM_ASSIGN(const Target target, find_target(call, 0));
    if (!target.database) return SqlValue();
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
