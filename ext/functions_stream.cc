// litestream_stream, litestream_stream_stop and litestream_lag: a database that follows another one. What
// stream has to prove comes first; where the first state does not come, everything is put back.
#include "ext/connection.h"
#include "ext/follower.h"
#include "ext/functions.h"
#include "ext/runtime.h"
#include "ext/upstream.h"

namespace litestream {
namespace {

constexpr std::int64_t kPromotionMs = 10'000;

Status check_writable_file(const Call& call, const Target& target) {
    if (sqlite3_db_readonly(call.connection(), target.schema.c_str()) != 1) return {};
    return bad_input(target.schema +
                     " is open read-only; a live replica has to be written: open it without "
                     "mode=ro");
}

// No page, or the first one alone with nothing in it.
Result<bool> is_empty(sqlite3* connection, const std::string& schema) {
    LITESTREAM_ASSIGN(const auto answer,
                      query_text(connection, "PRAGMA " + quote_name(schema) + ".page_count"));
    const std::string pages = answer.value_or("0");
    if (pages == "0") return true;
    if (pages != "1") return false;
    LITESTREAM_ASSIGN(const auto objects, query_text(connection, "SELECT count(*) FROM " +
                                                                     quote_name(schema) + ".sqlite_master"));
    return objects == "0";
}

Status check_content(const Call& call, const Target& target, const Replication& replication,
                     const StreamRequest& request) {
    const auto now = replication.upstream();
    if (request.replace || (now && now->url == request.upstream.url)) return {};
    LITESTREAM_ASSIGN(const bool nothing_is_lost, is_empty(call.connection(), target.schema));
    if (nothing_is_lost) return {};
    return needs_replace(replication, request.upstream);
}

// What was replaced may have had the same schema cookie, by which alone SQLite tells that its schema is
// another.
void forget_schema(sqlite3* connection) { (void)query_text(connection, "PRAGMA writable_schema=RESET"); }

Result<SqlValue> wait_for_state(const Replication& replication, bool needs_news, Waiting& waiting) {
    const auto follower = replication.follower();
    if (!follower) return bad_input(replication.database().path() + ": was stopped by another connection");
    LITESTREAM_TRY(follower->wait_ready(needs_news, waiting));
    return text_or_null(replica_state(replication.database()).position.to_string());
}

Result<SqlValue> stream(const Call& call, const Target& target, const StreamRequest& request) {
    LITESTREAM_TRY(check_writable_file(call, target));
    const auto replication = runtime().replication_of(target.database);
    LITESTREAM_TRY(check_followable(*replication, request));
    Waiting waiting(call.connection(), request.timeout_ms);
    if (replication->follower() && replication->upstream() == request.upstream) {
        return wait_for_state(*replication, false, waiting);
    }
    LITESTREAM_TRY(check_content(call, target, *replication, request));
    LITESTREAM_ASSIGN(auto following, Following::begin(*replication, request.upstream));
    LITESTREAM_ASSIGN(const SqlValue position, wait_for_state(*replication, !following.goes_on(), waiting));
    following.keep();
    forget_schema(call.connection());
    return position;
}

Status check_ours_to_stop(const Target& target, const Replication& replication) {
    const std::string& path = target.database->path();
    if (!target.database->is_replica()) {
        return bad_input(target.schema + " (" + path + ") is no live replica: nothing is followed");
    }
    const auto follower = replication.follower();
    if (!follower || !follower->is_standing_by()) return {};
    return bad_input(follower->status().last_error + "; call this there");
}

// What nobody ever sent is no database yet: nothing to capture.
Result<SqlValue> promote(const Call& call, const Target& target, const Position& position,
                         const std::string& url) {
    Database& database = *target.database;
    database.store().close();
    const std::string was = url.empty() ? "a live replica" : "a replica of " + url;
    LITESTREAM_TRY(database.end_replica("promoted from " +
                                        (position.empty() ? "nothing" : position.to_string()) + ", " + was));
    (void)runtime().replication_of(target.database)->unfollow(std::nullopt);  // a primary's is not looked at
    database.want_capture();
    touch(call.connection(), target);
    if (journal_mode(call.connection(), target.schema) != "wal") return SqlValue();
    Waiting waiting(call.connection(), kPromotionMs);
    LITESTREAM_TRY(wait_for_capture(call.connection(), target, waiting));
    return text_or_null(database.store().end().to_string());
}

Result<SqlValue> stop(const Call& call, const Target& target, bool promotes) {
    const auto replication = runtime().replication_of(target.database);
    LITESTREAM_TRY(check_ours_to_stop(target, *replication));
    const auto upstream = replication->upstream();
    LITESTREAM_TRY(replication->unfollow(upstream));
    const Position position = replica_state(*target.database).position;
    if (promotes) return promote(call, target, position, upstream ? upstream->url : "");
    return text_or_null(position.to_string());
}

}  // namespace

Result<SqlValue> litestream_stream(const Call& call) {
    LITESTREAM_ASSIGN(const std::string url, call.text(0, "url"));
    LITESTREAM_ASSIGN(const auto options, call.optional_text(1, "options"));
    LITESTREAM_TRY(refuse_transaction(call));
    auto request = parse_stream_request(url, options);
    if (!request) return call.in_call(std::move(request).error());
    LITESTREAM_ASSIGN(const Target target, require_database(call, 2));
    auto position = stream(call, target, *request);
    if (!position) return call.in_call(std::move(position).error());
    return position;
}

Result<SqlValue> litestream_stream_stop(const Call& call) {
    LITESTREAM_ASSIGN(const auto options, call.optional_text(0, "options"));
    LITESTREAM_TRY(refuse_transaction(call));
    const auto promotes = parse_stop_options(options);
    if (!promotes) return call.in_call(Error(promotes.error()));
    LITESTREAM_ASSIGN(const Target target, require_database(call, 1));
    auto position = stop(call, target, *promotes);
    if (!position) return call.in_call(std::move(position).error());
    return position;
}

Result<SqlValue> litestream_lag(const Call& call) {
    LITESTREAM_ASSIGN(const Target target, find_target(call, 0));
    if (!target.database || !target.database->is_replica()) return SqlValue();
    const auto lag = replica_lag_seconds(*runtime().replication_of(target.database));
    if (!lag) return SqlValue();
    return SqlValue(*lag);
}

}  // namespace litestream
