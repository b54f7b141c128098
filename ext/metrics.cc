#include "ext/metrics.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>

#include "ext/follower.h"
#include "ext/status.h"
#include "shared/base/json.h"
#include "shared/base/text.h"

namespace litestream {
namespace {

using Labels = MetricsText::Labels;

struct Declaration {
    const char* name;
    const char* type;
    const char* help;
};

constexpr const char* kGauge = "gauge";
constexpr const char* kCounter = "counter";

constexpr Declaration kDeclarations[] = {
    {"litestream_info", kGauge, "The version of liblitestream; always 1."},
    {"litestream_db_size", kGauge, "Size of the database file in bytes."},
    {"litestream_wal_size", kGauge, "Size of the WAL file in bytes."},
    {"litestream_shadow_wal_index", kGauge, "Index of the WAL that is being captured."},
    {"litestream_shadow_wal_size", kGauge, "End of what is captured of that WAL, in bytes."},
    {"litestream_db_is_replica", kGauge, "1 for a live replica, 0 for a primary."},
    {"litestream_position_index", kGauge,
     "Index of the last commit captured (primary) or applied (replica)."},
    {"litestream_position_offset", kGauge, "Offset of the end of that commit in its WAL, in bytes."},
    {"litestream_pending_bytes", kGauge, "Committed bytes of WAL that are not yet in every replica."},
    {"litestream_local_bytes", kGauge, "Size of the local segments in bytes."},
    {"litestream_capture_up", kGauge, "1 while capture is well, 0 while it has an error."},
    {"litestream_replica_up", kGauge, "1 while the replica is well, 0 while it has an error."},
    {"litestream_replica_wal_index", kGauge, "Index up to which the replica can be restored."},
    {"litestream_replica_wal_offset", kGauge, "Offset up to which the replica can be restored."},
    {"litestream_replica_lag_seconds", kGauge, "Seconds since the replica had everything."},
    {"litestream_replica_pending_bytes", kGauge, "Captured bytes of WAL that the replica lacks."},
    {"litestream_replica_wal_bytes", kCounter, "Bytes of WAL uploaded to the replica, before compression."},
    {"litestream_replica_requests_total", kCounter, "Requests to the replica's store, by kind, as it bills."},
    {"litestream_upstream_up", kGauge, "1 while the live replica is connected to its upstream."},
    {"litestream_upstream_lag_seconds", kGauge, "Seconds that the live replica is behind its upstream."},
    {"litestream_upstream_received_bytes", kCounter, "Bytes received from the upstream."},
    {"litestream_upstream_snapshots", kCounter, "Snapshots received from the upstream."},
    {"litestream_upstream_requests_total", kCounter, "Requests to an upstream in a bucket, by kind."},
    {"litestream_applied_commits_total", kCounter, "Commits that the live replica applied."},
    {"litestream_applied_commit_time_seconds", kGauge, "When the last applied commit was made, Unix time."},
    {"litestream_streams", kGauge, "Live replicas that are connected."},
    {"litestream_stream_position_index", kGauge, "Index of the last commit that a live replica applied."},
    {"litestream_stream_position_offset", kGauge, "Offset of the last commit that a live replica applied."},
    {"litestream_stream_lag_seconds", kGauge, "Seconds that a live replica is behind."},
    {"litestream_stream_sent_bytes", kCounter, "Bytes sent to a live replica."},
    {"litestream_stream_pending_bytes", kGauge, "Bytes of WAL that a live replica lacks."},
};

std::string escaped(const std::string& value) {
    std::string out;
    for (const char c : to_utf8(value)) {
        if (c == '\n') {
            out += "\\n";
            continue;
        }
        if (c == '\\' || c == '"') out += '\\';
        out += c;
    }
    return out;
}

std::string to_text(const Labels& labels) {
    std::string text;
    for (const auto& [name, value] : labels) {
        text += (text.empty() ? "" : ",") + name + "=\"" + escaped(value) + "\"";
    }
    return text.empty() ? "" : "{" + text + "}";
}

// The path's own, which is no descriptor of ours: SQLite's locks are safe.
void add_size(MetricsText& text, const char* name, const Labels& labels, const std::string& path) {
    struct stat status = {};
    if (::stat(path.c_str(), &status) != 0) return;
    text.add(name, labels, static_cast<std::uint64_t>(status.st_size));
}

Labels with(Labels labels, const char* name, const std::string& value) {
    labels.emplace_back(name, value);
    return labels;
}

void add_requests(MetricsText& text, const char* name, const Labels& labels, const RequestCounts& requests) {
    for (const auto& [kind, count] : requests) text.add(name, with(labels, "kind", to_lower(kind)), count);
}

void add_replica(MetricsText& text, const Labels& database, const ReplicatorStatus& replica) {
    const Labels labels = with(database, "name", replica.name);
    text.add("litestream_replica_up", labels, std::uint64_t{is_well(replica)});
    text.add("litestream_replica_pending_bytes", labels, replica.pending_bytes);
    if (const auto lag = lag_seconds(replica)) text.add("litestream_replica_lag_seconds", labels, *lag);
    text.add("litestream_replica_wal_bytes", labels, replica.wal_bytes);
    add_requests(text, "litestream_replica_requests_total", labels, replica.requests);
    if (replica.position.empty()) return;
    text.add("litestream_replica_wal_index", labels, replica.position.index);
    text.add("litestream_replica_wal_offset", labels, replica.position.offset);
}

void add_upstream(MetricsText& text, const Labels& labels, const Replication& replication) {
    const std::int64_t commit_ms = replication.database().applied_commit_ms();
    if (commit_ms != 0) {
        text.add("litestream_applied_commit_time_seconds", labels, static_cast<double>(commit_ms) / 1000);
    }
    text.add("litestream_applied_commits_total", labels, replication.database().applied_commits());
    const auto follower = replication.follower();
    if (!follower) return text.add("litestream_upstream_up", labels, std::uint64_t{0});
    const FollowerStatus upstream = follower->status();
    text.add("litestream_upstream_up", labels, std::uint64_t{upstream.state == "streaming"});
    text.add("litestream_upstream_received_bytes", labels, upstream.received_bytes);
    text.add("litestream_upstream_snapshots", labels, upstream.snapshots);
    add_requests(text, "litestream_upstream_requests_total", labels, upstream.requests);
    if (upstream.lag_seconds) text.add("litestream_upstream_lag_seconds", labels, *upstream.lag_seconds);
}

void add_position(MetricsText& text, const Labels& database, const DatabaseStatus& status) {
    if (status.position.empty()) return;
    const Labels labels = with(database, "generation", status.position.generation);
    text.add("litestream_position_index", labels, status.position.index);
    text.add("litestream_position_offset", labels, status.position.offset);
    if (status.is_replica) return;
    text.add("litestream_shadow_wal_index", database, status.position.index);
    text.add("litestream_shadow_wal_size", database, status.position.offset);
}

void add_stream(MetricsText& text, const StreamInfo& stream) {
    const Labels labels = {{"db", stream.database}, {"peer", stream.peer}};
    text.add("litestream_stream_sent_bytes", labels, stream.sent_bytes);
    text.add("litestream_stream_pending_bytes", labels, stream.pending_bytes);
    if (const auto lag = lag_seconds(stream)) text.add("litestream_stream_lag_seconds", labels, *lag);
    if (stream.position.empty()) return;
    text.add("litestream_stream_position_index", labels, stream.position.index);
    text.add("litestream_stream_position_offset", labels, stream.position.offset);
}

void add_streams(MetricsText& text, const std::string& path, const ServerStatus& server) {
    std::uint64_t count = 0;
    for (const StreamInfo& stream : server.streams) {
        if (stream.database != path) continue;
        add_stream(text, stream);
        count++;
    }
    text.add("litestream_streams", {{"db", path}}, count);
}

void add_database(MetricsText& text, const Replication& replication) {
    const Database& database = replication.database();
    const DatabaseStatus status = status_of(replication);
    const Labels labels = {{"db", status.path}};
    add_size(text, "litestream_db_size", labels, status.path);
    add_size(text, "litestream_wal_size", labels, database.wal_path());
    text.add("litestream_db_is_replica", labels, std::uint64_t{status.is_replica});
    text.add("litestream_local_bytes", labels, status.local_bytes);
    add_position(text, labels, status);
    for (const ReplicatorStatus& replica : status.replicas) add_replica(text, labels, replica);
    if (status.is_replica) return add_upstream(text, labels, replication);
    const bool is_up = database.is_standing_by() || database.capture_error().empty();
    text.add("litestream_capture_up", labels, std::uint64_t{is_up});
    text.add("litestream_pending_bytes", labels, status.pending_bytes);
}

}  // namespace

void MetricsText::declare(const std::string& name, const char* type, const char* help) {
    families_.push_back({name, "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n", ""});
}

void MetricsText::add(const std::string& name, const Labels& labels, std::uint64_t value) {
    append(name, labels, std::to_string(value));
}

// Not printf: its decimal point follows the host's locale.
void MetricsText::add(const std::string& name, const Labels& labels, double value) {
    char digits[64];
    const auto end = std::to_chars(std::begin(digits), std::end(digits), value);
    append(name, labels, std::string(digits, end.ptr));
}

void MetricsText::append(const std::string& name, const Labels& labels, const std::string& value) {
    const auto family = std::find_if(families_.begin(), families_.end(),
                                     [&](const Family& known) { return known.name == name; });
    if (family == families_.end()) return;
    family->samples += name + to_text(labels) + " " + value + "\n";
}

std::string MetricsText::to_string() const {
    std::string text;
    for (const Family& family : families_) {
        if (!family.samples.empty()) text += family.head + family.samples;
    }
    return text;
}

std::string metrics_text(const Replications& served, const ServerStatus& server) {
    MetricsText text;
    for (const auto& [name, type, help] : kDeclarations) text.declare(name, type, help);
    text.add("litestream_info", {{"version", LITESTREAM_VERSION}}, std::uint64_t{1});
    for (const auto& replication : served) {
        add_database(text, *replication);
        add_streams(text, replication->database().path(), server);
    }
    return text.to_string();
}

}  // namespace litestream
