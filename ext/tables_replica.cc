// litestream_generations, litestream_snapshots and litestream_wal: what a replica's storage holds, as listed
// now.
#include <sys/stat.h>

#include <algorithm>
#include <optional>

#include "ext/runtime.h"
#include "ext/table.h"
#include "shared/base/clock.h"
#include "shared/replica/replica_client.h"
#include "vfs/shim_vfs.h"

namespace litestream {
namespace {

SqlValue integer(std::uint64_t value) { return static_cast<std::int64_t>(value); }

SqlValue time_or_null(std::optional<std::int64_t> time_ms) {
    if (!time_ms) return std::monostate();
    return format_time(*time_ms);
}

std::optional<std::int64_t> modified_ms(const std::string& path) {
    struct stat status = {};
    if (::stat(path.c_str(), &status) != 0) return std::nullopt;
    return status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1'000'000;
}

// When the database of this process that replicates there was last written; nullopt: there is none.
std::optional<std::int64_t> database_modified_ms(const std::string& url) {
    if (is_forked_child()) return std::nullopt;
    for (const auto& replication : runtime().replications()) {
        if (!replication->find(url)) continue;
        const auto file = modified_ms(replication->database().path());
        const auto wal = modified_ms(replication->database().wal_path());
        return std::max(file, wal);
    }
    return std::nullopt;
}

struct Span {
    std::optional<std::int64_t> started_ms;  // the oldest snapshot
    std::optional<std::int64_t> ended_ms;    // the newest file

    void add(std::int64_t time_ms) { ended_ms = std::max(ended_ms.value_or(time_ms), time_ms); }
    void add_snapshot(std::int64_t time_ms) {
        started_ms = std::min(started_ms.value_or(time_ms), time_ms);
        add(time_ms);
    }
};

Result<Span> span_of(ReplicaClient& client, const std::string& generation) {
    LITESTREAM_ASSIGN(const auto snapshots, client.snapshots(generation));
    LITESTREAM_ASSIGN(const auto segments, client.segments(generation));
    Span span;
    for (const SnapshotInfo& snapshot : snapshots) span.add_snapshot(snapshot.created_ms);
    for (const SegmentInfo& segment : segments) span.add(segment.created_ms);
    return span;
}

SqlValue lag(std::optional<std::int64_t> database_ms, std::optional<std::int64_t> ended_ms) {
    if (!database_ms || !ended_ms) return std::monostate();
    return static_cast<double>(std::max<std::int64_t>(*database_ms - *ended_ms, 0)) / 1000;
}

// Only the trailer tells where in its index a snapshot was taken; others' snapshots have none.
Result<SqlValue> offset_of(ReplicaClient& client, const SnapshotInfo& snapshot) {
    LITESTREAM_ASSIGN(const auto trailer, client.trailer(snapshot.name));
    if (!trailer) return SqlValue();
    return integer(trailer->end_offset);
}

}  // namespace

Result<Rows> generation_rows(ReplicaClient& client) {
    LITESTREAM_ASSIGN(const auto generations, client.generations());
    const auto database_ms = database_modified_ms(client.url());
    Rows rows;
    for (const std::string& generation : generations) {
        LITESTREAM_ASSIGN(const Span span, span_of(client, generation));
        rows.push_back({generation, lag(database_ms, span.ended_ms), time_or_null(span.started_ms),
                        time_or_null(span.ended_ms)});
    }
    return rows;
}

Result<Rows> snapshot_rows(ReplicaClient& client) {
    LITESTREAM_ASSIGN(const auto generations, client.generations());
    Rows rows;
    for (const std::string& generation : generations) {
        LITESTREAM_ASSIGN(const auto snapshots, client.snapshots(generation));
        for (const SnapshotInfo& snapshot : snapshots) {
            LITESTREAM_ASSIGN(SqlValue offset, offset_of(client, snapshot));
            rows.push_back({generation, integer(snapshot.index), std::move(offset),
                            integer(snapshot.size_bytes), format_time(snapshot.created_ms)});
        }
    }
    return rows;
}

Result<Rows> wal_rows(ReplicaClient& client) {
    LITESTREAM_ASSIGN(const auto generations, client.generations());
    Rows rows;
    for (const std::string& generation : generations) {
        LITESTREAM_ASSIGN(const auto segments, client.segments(generation));
        for (const SegmentInfo& segment : segments) {
            rows.push_back({generation, integer(segment.index), integer(segment.offset),
                            integer(segment.size_bytes), format_time(segment.created_ms)});
        }
    }
    return rows;
}

}  // namespace litestream
