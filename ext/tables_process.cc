// litestream_databases, litestream_replicas, litestream_streams and litestream_events: what this process has
// open, where it is replicated, who reads it live, and what happened.
#include "ext/runtime.h"
#include "ext/status.h"
#include "ext/table.h"
#include "shared/base/clock.h"
#include "shared/base/events.h"
#include "vfs/shim_vfs.h"

namespace litestream {
namespace {

Row to_row(const DatabaseStatus& status) {
    return {status.path, std::string(status.role()), text_or_null(status.generation),
            text_or_null(status.position.to_string()), static_cast<std::int64_t>(status.replicas.size())};
}

Row to_row(const std::string& database, const ReplicatorStatus& replica) {
    const auto lag = lag_seconds(replica);
    return {database,
            replica.name,
            replica.url,
            replica.state,
            text_or_null(replica.position.to_string()),
            lag ? SqlValue(*lag) : SqlValue(),
            static_cast<std::int64_t>(replica.pending_bytes),
            text_or_null(replica.last_error)};
}

Row to_row(const StreamInfo& stream) {
    const auto lag = lag_seconds(stream);
    return {stream.database,
            stream.peer,
            text_or_null(stream.position.to_string()),
            lag ? SqlValue(*lag) : SqlValue(),
            static_cast<std::int64_t>(stream.sent_bytes),
            format_time(stream.connected_ms)};
}

// A forked child has no replication of its own.
std::vector<std::shared_ptr<Replication>> open_replications() {
    if (is_forked_child()) return {};
    return runtime().replications();
}

}  // namespace

Result<Rows> database_rows() {
    Rows rows;
    for (const auto& replication : open_replications()) rows.push_back(to_row(status_of(*replication)));
    return rows;
}

Result<Rows> replica_rows() {
    Rows rows;
    for (const auto& replication : open_replications()) {
        const std::string path = replication->database().path();
        for (const ReplicatorStatus& replica : replication->statuses()) rows.push_back(to_row(path, replica));
    }
    return rows;
}

Result<Rows> stream_rows() {
    Rows rows;
    for (const StreamInfo& stream : runtime().http_service().status().streams) rows.push_back(to_row(stream));
    return rows;
}

Result<Rows> event_rows() {
    Rows rows;
    if (is_forked_child()) return rows;
    for (Event& event : recorded_events()) {
        rows.push_back({format_time(event.time_ms), std::move(event.database), std::move(event.kind),
                        std::move(event.detail)});
    }
    return rows;
}

}  // namespace litestream
