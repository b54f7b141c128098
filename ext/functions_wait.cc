// The functions that wait: litestream_sync, litestream_wait, litestream_snapshot and litestream_run. All can
// be interrupted, and none holds a mutex of ours while it waits.
#include <algorithm>
#include <chrono>
#include <limits>
#include <thread>

#include "ext/connection.h"
#include "ext/functions.h"
#include "ext/runtime.h"
#include "shared/base/text.h"

namespace litestream {
namespace {

constexpr std::int64_t kDefaultTimeoutMs = 30'000;
constexpr std::int64_t kForeverMs = std::numeric_limits<std::int64_t>::max() / 2;
constexpr int kNapMs = 250;

const char* const kNoReplicas = "there are no replicas; SELECT litestream_replicate(url) adds one";

// With those that a URI or the environment asked for.
Replication::Members replicas_of(const Target& target) {
    const auto replication = runtime().replication_of(target.database);
    replication->serve_requests();
    return replication->members();
}

std::string described(const ReplicaMember& member) {
    const ReplicatorStatus status = member.status();
    std::string text = "replica \"" + status.name + "\" (" + status.url + ") is late";
    text += status.position.empty() ? ", it has nothing yet" : ", it is at " + status.position.to_string();
    if (!status.last_error.empty()) text += "; its last error: " + status.last_error;
    return text;
}

// A replica that another connection gives up meanwhile is none to wait for.
// Returns early when a new generation has begun: everything is in its snapshot then.
Status sync_replicas(const Replication::Members& members, const SegmentStore& store, const Position& end,
                     Waiting& waiting, std::int64_t timeout_ms) {
    for (const auto& member : members) member->sync_now();
    const auto stop = [&] { return waiting.is_interrupted() || store.generation() != end.generation; };
    for (const auto& member : members) {
        if (member->wait_for(end, waiting.left_ms(), stop) || member->has_ended()) continue;
        if (store.generation() != end.generation && !waiting.is_over()) return {};
        return waiting.failure("not within " + format_duration(timeout_ms) + ": " + described(*member));
    }
    return {};
}

Result<SqlValue> sync(const Call& call, const Target& target, std::int64_t timeout_ms) {
    LITESTREAM_TRY(refuse_replica(target));
    Waiting waiting(call.connection(), timeout_ms);
    LITESTREAM_TRY(wait_for_capture(call.connection(), target, waiting));
    SegmentStore& store = target.database->store();
    const auto members = replicas_of(target);
    if (members.empty()) LITESTREAM_TRY(store.sync());
    Position end;
    do {
        end = store.end();
        LITESTREAM_TRY(sync_replicas(members, store, end, waiting, timeout_ms));
        // One that has just begun is at its start until capture has read again what the WAL holds, which its
        // snapshot has; the position is to be one that restores.
    } while (store.generation() != end.generation || (end.offset == 0 && store.end() != end));
    return text_or_null(end.to_string());
}

Result<SqlValue> wait_until_applied(const Call& call, const Target& target, const Position& position,
                                    std::int64_t timeout_ms) {
    (void)runtime().replication_of(target.database);  // follows what is remembered
    Waiting waiting(call.connection(), timeout_ms);
    const bool is_applied = target.database->wait_applied(position, waiting.left_ms(), waiting.stop());
    if (!is_applied && waiting.is_interrupted()) return waiting.failure("");
    return SqlValue(std::int64_t{is_applied});
}

Result<SqlValue> wait_for_position(const Call& call, const Target& target, const Position& position,
                                   std::int64_t timeout_ms) {
    if (target.database->is_replica()) return wait_until_applied(call, target, position, timeout_ms);
    const auto members = replicas_of(target);
    if (members.empty()) return bad_input(kNoReplicas);
    Waiting waiting(call.connection(), timeout_ms);
    const SegmentStore& store = target.database->store();
    const auto stop = [&] { return store.generation() != position.generation || waiting.is_interrupted(); };
    for (const auto& member : members) {
        if (stop()) break;
        if (member->wait_for(position, waiting.left_ms(), stop) || member->has_ended()) continue;
        if (waiting.is_interrupted()) return waiting.failure("");
        return SqlValue(std::int64_t{0});
    }
    if (waiting.is_interrupted()) return waiting.failure("");
    return SqlValue(std::int64_t{store.generation() == position.generation});
}

Result<Replication::Members> chosen(const Replication& replication,
                                    const std::optional<std::string>& name_or_url) {
    auto members = replication.members();
    if (members.empty()) return bad_input(kNoReplicas);
    if (!name_or_url) return members;
    if (auto member = replication.find(*name_or_url)) return Replication::Members{member};
    std::string names;
    for (const auto& member : members) names += (names.empty() ? "" : ", ") + member->spec().name;
    return bad_input("no such replica: " + *name_or_url + "; there are " + names);
}

Result<SqlValue> snapshot(const Call& call, const Target& target,
                          const std::optional<std::string>& name_or_url) {
    LITESTREAM_TRY(refuse_replica(target));
    const auto replication = runtime().replication_of(target.database);
    replication->serve_requests();
    LITESTREAM_ASSIGN(const auto members, chosen(*replication, name_or_url));
    Waiting waiting(call.connection(), kForeverMs);
    LITESTREAM_TRY(wait_for_capture(call.connection(), target, waiting));
    Position last;
    for (const auto& member : members) {
        auto position = member->snapshot(waiting.left_ms(), waiting.stop());
        if (!position && waiting.is_interrupted()) return waiting.failure("");
        if (!position) return std::move(position).error().context("replica \"" + member->spec().name + "\"");
        last = *position;
    }
    return text_or_null(last.to_string());
}

}  // namespace

Result<SqlValue> litestream_sync(const Call& call) {
    LITESTREAM_ASSIGN(const std::int64_t timeout_ms, call.duration_ms(0, "timeout", kDefaultTimeoutMs));
    LITESTREAM_ASSIGN(const Target target, require_database(call, 1));
    auto position = sync(call, target, timeout_ms);
    if (!position) return call.in_call(std::move(position).error());
    return position;
}

Result<SqlValue> litestream_wait(const Call& call) {
    LITESTREAM_ASSIGN(const std::string text, call.text(0, "position"));
    auto position = Position::parse(text);
    if (!position) return call.in_call(std::move(position).error());
    LITESTREAM_ASSIGN(const std::int64_t timeout_ms, call.duration_ms(1, "timeout", kDefaultTimeoutMs));
    LITESTREAM_ASSIGN(const Target target, require_database(call, 2));
    auto reached = wait_for_position(call, target, *position, timeout_ms);
    if (!reached) return call.in_call(std::move(reached).error());
    return reached;
}

Result<SqlValue> litestream_snapshot(const Call& call) {
    LITESTREAM_ASSIGN(const auto name_or_url, call.optional_text(0, "name_or_url"));
    LITESTREAM_ASSIGN(const Target target, require_database(call, 1));
    LITESTREAM_TRY(refuse_transaction(call));
    auto position = snapshot(call, target, name_or_url);
    if (!position) return call.in_call(std::move(position).error());
    return position;
}

// A daemon's databases are written by others, who ring no bell here: it looks each time that it is awake.
Result<SqlValue> litestream_run(const Call& call) {
    LITESTREAM_ASSIGN(const std::int64_t duration_ms, call.duration_ms(0, "seconds", kForeverMs));
    Waiting waiting(call.connection(), duration_ms);
    touch_all(call.connection());
    while (!waiting.is_over()) {
        if (waiting.is_interrupted()) return call.in_call(waiting.failure(""));
        for (const auto& database : runtime().registry().all()) database->ring();
        std::this_thread::sleep_for(std::chrono::milliseconds(std::min(kNapMs, waiting.left_ms())));
    }
    return SqlValue(std::int64_t{0});
}

}  // namespace litestream
