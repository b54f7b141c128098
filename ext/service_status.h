// What is said of the databases of this process and of the server: one JSON object for each database, the
// same in litestream_status() and at /status, and the verdict of /healthz.
//
// Thread-safe: what only SQL can tell is handed in, and nothing here touches a connection.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ext/replication.h"
#include "shared/stream/stream_server.h"

namespace boost::json {
class object;
}

namespace litestream {

using Replications = std::vector<std::shared_ptr<Replication>>;

struct ServerStatus {
    std::string url;                  // empty: nothing is served
    std::vector<StreamInfo> streams;  // of all databases
};

// What the asker knows of a database from elsewhere.
struct DatabaseFacts {
    std::string path;
    std::string journal_mode;                // "": unknown
    std::optional<std::uint32_t> page_size;  // nullopt: unknown
    std::string why;  // it is not captured, not followed, or in trouble; "": all is well
};

// `replication`: null: not ours.
boost::json::object status_json(const Replication* replication, const DatabaseFacts& facts,
                                const ServerStatus& server);
// Why a live replica does not follow; "" if it does. `name`: what the reader calls the database.
std::string why_replica(const Replication& replication, const std::string& name);

// The page size without asking SQLite; 0: not known yet.
std::uint32_t page_size_of(const Replication& replication);

// {"version", "server", "databases": [...]}, indented.
std::string service_status_text(const Replications& served, const ServerStatus& server);

// Reasons, one a line, why somebody should look; "" if nobody needs to.
std::string service_trouble(const Replications& served);
// A replica that has an error, or that another database took over.
bool is_well(const ReplicatorStatus& replica);

// Seconds that a stream is behind; nullopt: not known.
std::optional<double> lag_seconds(const StreamInfo& stream);

}  // namespace litestream
