#include "ext/service_status.h"

#include <algorithm>
#include <boost/json.hpp>

#include "ext/follower.h"
#include "ext/status.h"
#include "ext/upstream.h"
#include "shared/base/clock.h"
#include "shared/base/json.h"
#include "shared/base/text.h"
#include "shared/format/stream_message.h"

namespace litestream {
namespace {

namespace json = boost::json;

constexpr const char* kPlainProtocol = "litestream";  // an e6f7c60 client's

json::value or_null(const std::string& text) {
    if (text.empty()) return nullptr;
    return json::value(text);
}

json::value or_null(const std::optional<double>& number) {
    if (!number) return nullptr;
    return json::value(*number);
}

// --- The parts of one database ---

json::value to_json(const std::optional<ValidationResult>& validation) {
    if (!validation) return nullptr;
    return json::object{{"time", format_time(validation->time_ms)},
                        {"ok", validation->ok},
                        {"position", or_null(validation->position.to_string())},
                        {"error", or_null(validation->error)}};
}

json::object to_json(const RequestCounts& counts) {
    json::object object;
    for (const auto& [kind, count] : counts) object[to_lower(kind)] = count;
    return object;
}

json::object to_json(const ReplicaMember& member) {
    const ReplicatorStatus replica = member.status();
    json::object object;
    object["name"] = replica.name;
    object["url"] = replica.url;
    object["state"] = replica.state;
    object["position"] = or_null(replica.position.to_string());
    object["lag_seconds"] = or_null(lag_seconds(replica));
    object["last_error"] = or_null(replica.last_error);
    object["note"] = or_null(replica.note);
    object["requests"] = to_json(replica.requests);
    object["validation"] = to_json(member.last_validation());
    return object;
}

json::array replicas_json(const Replication* replication) {
    json::array array;
    if (replication == nullptr) return array;
    for (const auto& member : replication->members()) array.push_back(to_json(*member));
    return array;
}

json::value upstream_json(const Replication* replication) {
    const auto follower = replication == nullptr ? nullptr : replication->follower();
    if (!follower) return nullptr;
    const FollowerStatus upstream = follower->status();
    json::object object;
    object["url"] = upstream.url;
    object["state"] = upstream.state;
    object["position"] = or_null(upstream.position.to_string());
    object["end"] = or_null(upstream.end.to_string());
    object["lag_seconds"] = or_null(upstream.lag_seconds);
    object["last_error"] = or_null(upstream.last_error);
    object["received_bytes"] = upstream.received_bytes;
    object["snapshots"] = upstream.snapshots;
    object["requests"] = to_json(upstream.requests);
    return object;
}

json::value to_json(const ServerStatus& server) {
    if (server.url.empty()) return nullptr;
    return json::object{{"url", server.url}, {"tls", false}};
}

json::object to_json(const StreamInfo& stream) {
    json::object object;
    object["peer"] = stream.peer;
    object["position"] = or_null(stream.position.to_string());
    object["lag_seconds"] = or_null(lag_seconds(stream));
    object["sent_bytes"] = stream.sent_bytes;
    object["pending_bytes"] = stream.pending_bytes;
    object["connected_at"] = format_time(stream.connected_ms);
    object["protocol"] = stream.is_ours ? kStreamProtocol : kPlainProtocol;
    return object;
}

json::array streams_json(const std::string& database, const ServerStatus& server) {
    json::array array;
    for (const StreamInfo& stream : server.streams) {
        if (stream.database == database) array.push_back(to_json(stream));
    }
    return array;
}

// --- Without a connection ---

std::string why_of(const Replication& replication) {
    const Database& database = replication.database();
    if (database.is_replica()) return why_replica(replication, database.path());
    if (std::string reason = replication.why(); !reason.empty()) return reason;
    if (std::string error = database.capture_error(); !error.empty()) return error;
    return database.is_mapped() ? "" : database.path() + ": its WAL is not open";
}

DatabaseFacts facts_of(const Replication& replication) {
    const Database& database = replication.database();
    DatabaseFacts facts;
    facts.path = database.path();
    facts.journal_mode = database.is_mapped() ? "wal" : "";
    if (const std::uint32_t size = page_size_of(replication); size != 0) facts.page_size = size;
    facts.why = why_of(replication);
    return facts;
}

// --- Health ---

std::string upstream_trouble(const Replication& replication) {
    const auto follower = replication.follower();
    if (!follower) return "a live replica that follows nothing";
    const FollowerStatus upstream = follower->status();
    if (upstream.state == "streaming" || upstream.state == "standing by") return "";
    const std::string error = upstream.last_error.empty() ? "" : ": " + upstream.last_error;
    return "not connected to " + upstream.url + error;
}

// Another process that captures is no trouble, and is in capture_error() all the same.
std::vector<std::string> troubles_of(const Replication& replication) {
    const Database& database = replication.database();
    std::vector<std::string> troubles = {replication.why()};
    if (database.is_replica()) {
        troubles.push_back(upstream_trouble(replication));
    } else if (!database.is_standing_by()) {
        troubles.push_back(database.capture_error());
    }
    for (const ReplicatorStatus& replica : replication.statuses()) {
        if (is_well(replica)) continue;
        troubles.push_back("replica " + replica.name + " (" + replica.url + ") is " + replica.state + ": " +
                           replica.last_error);
    }
    std::erase(troubles, "");
    return troubles;
}

}  // namespace

json::object status_json(const Replication* replication, const DatabaseFacts& facts,
                         const ServerStatus& server) {
    const DatabaseStatus status = replication == nullptr ? DatabaseStatus() : status_of(*replication);
    json::object object;
    object["version"] = LITESTREAM_VERSION;
    object["database"] = or_null(facts.path);
    object["role"] = status.role();
    object["why"] = or_null(facts.why);
    object["journal_mode"] = or_null(facts.journal_mode);
    object["page_size"] = facts.page_size ? json::value(*facts.page_size) : json::value(nullptr);
    object["generation"] = or_null(status.generation);
    object["generation_reason"] = or_null(status.generation_reason);
    object["position"] = or_null(status.position.to_string());
    object["pending_bytes"] = status.pending_bytes;
    object["local_bytes"] = status.local_bytes;
    object["replicas"] = replicas_json(replication);
    object["upstream"] = upstream_json(replication);
    object["server"] = to_json(server);
    object["streams"] = streams_json(facts.path, server);
    object["synchronous"] = "OFF";
    return object;
}

std::string why_replica(const Replication& replication, const std::string& name) {
    if (std::string reason = replication.why(); !reason.empty()) return reason;
    const auto follower = replication.follower();
    if (follower) return follower->status().last_error;
    const auto upstream = replication.upstream();
    const std::string url = upstream ? "'" + upstream->url + "'" : "url";
    return name + " is a live replica that follows nothing; litestream_stream(" + url + ") goes on";
}

std::uint32_t page_size_of(const Replication& replication) {
    const Database& database = replication.database();
    if (database.is_replica()) return replica_state(database).page_size;
    const auto header = database.wal_index_header();
    return header && header->page_size != 0 ? header->page_size : database.page_size();
}

std::string service_status_text(const Replications& served, const ServerStatus& server) {
    json::array databases;
    for (const auto& replication : served) {
        databases.push_back(status_json(replication.get(), facts_of(*replication), server));
    }
    json::object object;
    object["version"] = LITESTREAM_VERSION;
    object["server"] = to_json(server);
    object["databases"] = std::move(databases);
    return to_indented_json(object) + "\n";
}

bool is_well(const ReplicatorStatus& replica) {
    return replica.last_error.empty() && replica.state != "fenced" && replica.state != "retrying";
}

std::string service_trouble(const Replications& served) {
    std::string text;
    for (const auto& replication : served) {
        for (const std::string& trouble : troubles_of(*replication)) {
            text += replication->database().path() + ": " + trouble + "\n";
        }
    }
    return text;
}

std::optional<double> lag_seconds(const StreamInfo& stream) {
    if (stream.pending_bytes == 0) return 0.0;
    if (stream.commit_ms == 0) return std::nullopt;
    return static_cast<double>(std::max<std::int64_t>(wall_clock_ms() - stream.commit_ms, 0)) / 1000;
}

}  // namespace litestream
