#include "ext/options.h"

#include <algorithm>
#include <boost/json.hpp>
#include <span>
#include <vector>

#include "ext/sql_value.h"
#include "ext/store_options.h"
#include "shared/base/clock.h"
#include "shared/base/json.h"
#include "shared/base/text.h"
#include "shared/replica/replica_client.h"

namespace litestream {
namespace {

namespace json = boost::json;

using Keys = std::span<const std::string_view>;
using StoreOptions = std::span<const StoreOption>;

constexpr std::string_view kReplicateKeys[] = {"name",      "sync_interval",       "snapshot_interval",
                                               "retention", "validation_interval", "adopt"};
constexpr std::string_view kRestoreKeys[] = {"timestamp",   "generation",       "index",
                                             "position",    "if_db_not_exists", "if_replica_exists",
                                             "parallelism", "progress"};

constexpr std::string_view kValidateKeys[] = {"position", "parallelism"};

bool contains(Keys keys, std::string_view key) {
    return std::find(keys.begin(), keys.end(), key) != keys.end();
}

std::string joined(Keys keys) {
    std::string text;
    for (const std::string_view key : keys) text.append(text.empty() ? "" : ", ").append(key);
    return text;
}

Result<json::object> parse_options(const std::optional<std::string>& text, Keys known,
                                   StoreOptions store = {}) {
    json::object object;
    if (!text) return object;
    LITESTREAM_TRY(parse_json_object(*text, "options", object));
    std::vector<std::string_view> all(known.begin(), known.end());
    for (const StoreOption& option : store) {
        if (!contains(known, option.key)) all.push_back(option.key);
    }
    for (const auto& [key, value] : object) {
        const std::string_view name(key.data(), key.size());
        if (contains(all, name)) continue;
        return bad_input("unknown option \"" + std::string(name) + "\"; " +
                         (all.empty() ? "there are none for this URL" : "known are " + joined(all)));
    }
    return object;
}

// --- One option; a key that is absent or null leaves `out` as it is ---

const json::value* find_option(const json::object& object, const char* key) {
    const json::value* value = object.if_contains(key);
    return value == nullptr || value->is_null() ? nullptr : value;
}

Error wrong_type(const char* key, const char* expected) {
    return bad_input(std::string("option \"") + key + "\" must be " + expected);
}

Error in_option(const char* key, Error error) {
    return std::move(error).context(std::string("option \"") + key + "\"");
}

Status read_text(const json::object& object, const char* key, const char* expected, std::string& out) {
    const json::value* value = find_option(object, key);
    if (value == nullptr) return {};
    if (!value->is_string()) return wrong_type(key, expected);
    out = std::string(value->get_string());
    return {};
}

Status read_bool(const json::object& object, const char* key, bool& out) {
    const json::value* value = find_option(object, key);
    if (value == nullptr) return {};
    if (!value->is_bool()) return wrong_type(key, "true or false");
    out = value->get_bool();
    return {};
}

Result<std::int64_t> duration_of_json(const json::value& value) {
    if (value.is_string()) return parse_duration_ms(std::string_view(value.get_string()));
    json::error_code error;
    return seconds_to_ms(value.to_number<double>(error));
}

Status read_duration(const json::object& object, const char* key, std::int64_t& out_ms) {
    const json::value* value = find_option(object, key);
    if (value == nullptr) return {};
    if (!value->is_string() && !value->is_number())
        return wrong_type(key, "a duration, such as \"10s\" or 10");
    auto duration = duration_of_json(*value);
    if (!duration) return in_option(key, std::move(duration).error());
    out_ms = *duration;
    return {};
}

// --- replicate ---

Status read_replicate(const json::object& object, ReplicateOptions& out) {
    LITESTREAM_TRY(read_text(object, "name", "text", out.spec.name));
    if (find_option(object, "name") != nullptr) LITESTREAM_TRY(check_replica_name(out.spec.name));
    for (const ReplicaInterval& interval : kReplicaIntervals) {
        LITESTREAM_TRY(read_duration(object, interval.key, out.spec.*interval.member));
    }
    return read_bool(object, "adopt", out.adopt);
}

json::value query_value(const std::string& key, const std::string& value) {
    const bool is_switch = key == "adopt" && (value == "true" || value == "false");
    return is_switch ? json::value(value == "true") : json::value(value);
}

// Takes our keys out of the query; in a query every value is text.
Result<json::object> take_query(Url& url) {
    json::object taken;
    for (const auto& [key, value] : url.query) {
        if (!contains(kReplicateKeys, key)) continue;
        const json::value* before = taken.if_contains(key);
        if (before != nullptr && *before != query_value(key, value)) {
            return bad_input(url.to_string() + ": the query says \"" + key + "\" twice");
        }
        taken[key] = query_value(key, value);
    }
    std::erase_if(url.query, [&](const auto& pair) { return contains(kReplicateKeys, pair.first); });
    return taken;
}

Error disagreement(const std::string& key) {
    return bad_input("\"" + key + "\" is one thing in the URL's query and another in the options");
}

Status check_agreement(const json::object& query, const ReplicateOptions& from_query,
                       const json::object& options, const ReplicateOptions& from_options) {
    const auto in_both = [&](const char* key) {
        return query.contains(key) && find_option(options, key) != nullptr;
    };
    const char* key = nullptr;
    if (in_both("name") && from_query.spec.name != from_options.spec.name) key = "name";
    if (in_both("adopt") && from_query.adopt != from_options.adopt) key = "adopt";
    for (const auto& [name, member] : kReplicaIntervals) {
        if (in_both(name) && from_query.spec.*member != from_options.spec.*member) key = name;
    }
    if (key == nullptr) return {};
    return disagreement(key);
}

// The store's own options go into the query: what opens the URL reads them there, today or once it is
// remembered. `except`: those stay in the object, and must only agree.
Status move_to_query(const json::object& object, StoreOptions store, Url& url, Keys except = {}) {
    for (const StoreOption& option : store) {
        const std::string key(option.key);
        const json::value* value = find_option(object, key.c_str());
        if (value == nullptr) continue;
        LITESTREAM_ASSIGN(const std::string text, store_text(option, *value));
        const auto same = std::find_if(url.query.begin(), url.query.end(),
                                       [&](const auto& pair) { return pair.first == key; });
        if (same == url.query.end()) {
            if (!contains(except, key)) url.query.emplace_back(key, text);
        } else if (same->second != text) {
            return disagreement(key);
        }
    }
    return {};
}

// --- restore ---

Status read_timestamp(const json::object& object, RestoreOptions& out) {
    std::string text;
    LITESTREAM_TRY(read_text(object, "timestamp", "a time, such as \"2026-11-23T09:00:00Z\"", text));
    if (find_option(object, "timestamp") == nullptr) return {};
    auto time = parse_time(text);
    if (!time) return in_option("timestamp", std::move(time).error());
    out.timestamp_ms = *time;
    return {};
}

Status read_generation(const json::object& object, RestoreOptions& out) {
    LITESTREAM_TRY(read_text(object, "generation", "16 hex digits", out.generation));
    if (find_option(object, "generation") == nullptr || is_generation_name(out.generation)) return {};
    return bad_input("option \"generation\": \"" + out.generation + "\" is not 16 hex digits 0-9a-f");
}

// A number as in the column idx of our tables, or hex text as in the names of files.
Result<std::uint64_t> index_of(const json::value& value) {
    if (value.is_string()) return parse_hex(std::string_view(value.get_string()), "index");
    json::error_code error;
    const auto number = value.to_number<std::uint64_t>(error);
    if (error) return bad_input("it must be a whole number from 0 on");
    return number;
}

Status read_index(const json::object& object, RestoreOptions& out) {
    const json::value* value = find_option(object, "index");
    if (value == nullptr) return {};
    if (!value->is_string() && !value->is_number())
        return wrong_type("index", "a number, or hex digits as text");
    auto index = index_of(*value);
    if (!index) return in_option("index", std::move(index).error());
    if (*index > kMaxIndex) return bad_input("option \"index\" is too large: " + std::to_string(*index));
    out.index = *index;
    return {};
}

Status read_position(const json::object& object, RestoreOptions& out) {
    std::string text;
    LITESTREAM_TRY(read_text(object, "position", "GENERATION/INDEX:OFFSET", text));
    if (find_option(object, "position") == nullptr) return {};
    auto position = Position::parse(text);
    if (!position) return in_option("position", std::move(position).error());
    out.position = *position;
    return {};
}

Status read_parallelism(const json::object& object, RestoreOptions& out) {
    const json::value* value = find_option(object, "parallelism");
    if (value == nullptr) return {};
    json::error_code error;
    const auto number = value->is_number() ? value->to_number<std::uint64_t>(error) : 0;
    if (error || number < 1 || number > kMaxParallelism) {
        const std::string expected = "a whole number from 1 to " + std::to_string(kMaxParallelism);
        return wrong_type("parallelism", expected.c_str());
    }
    out.parallelism = static_cast<unsigned>(number);
    return {};
}

Status check_target(const RestoreOptions& options) {
    const int targets =
        options.timestamp_ms.has_value() + options.index.has_value() + options.position.has_value();
    if (targets > 1)
        return bad_input("give only one of the options \"timestamp\", \"index\" and \"position\"");
    if (!options.position || options.generation.empty()) return {};
    if (options.position->generation == options.generation) return {};
    return bad_input("options \"position\" and \"generation\" name different generations");
}

// For those who only read: our keys in the URL are passed over, and how much they do at a time is no part of
// where the replica is.
Result<json::object> parse_reading(const std::string& text, const std::optional<std::string>& options,
                                   Keys known, Url& url) {
    constexpr std::string_view kOurs[] = {"parallelism"};
    LITESTREAM_ASSIGN(url, Url::parse(text));
    LITESTREAM_TRY(take_query(url));
    LITESTREAM_ASSIGN(json::object object, parse_options(options, known, store_options(url)));
    LITESTREAM_TRY(move_to_query(object, store_options(url), url, kOurs));
    return object;
}

}  // namespace

Result<ReplicateOptions> parse_replicate_options(const std::string& url,
                                                 const std::optional<std::string>& options) {
    ReplicateOptions parsed;
    LITESTREAM_ASSIGN(parsed.url, Url::parse(url));
    LITESTREAM_ASSIGN(const json::object object,
                      parse_options(options, kReplicateKeys, store_options(parsed.url)));
    LITESTREAM_ASSIGN(const json::object query, take_query(parsed.url));
    LITESTREAM_TRY(read_replicate(query, parsed));
    const ReplicateOptions from_query = parsed;
    LITESTREAM_TRY(read_replicate(object, parsed));
    LITESTREAM_TRY(check_agreement(query, from_query, object, parsed));
    LITESTREAM_TRY(move_to_query(object, store_options(parsed.url), parsed.url));
    return parsed;
}

Result<Url> parse_replica_url(const std::string& url) {
    LITESTREAM_ASSIGN(Url parsed, Url::parse(url));
    LITESTREAM_TRY(take_query(parsed));
    return parsed;
}

Result<RestoreRequest> parse_restore_options(const std::string& url,
                                             const std::optional<std::string>& options) {
    RestoreRequest request;
    LITESTREAM_ASSIGN(const json::object object, parse_reading(url, options, kRestoreKeys, request.url));
    LITESTREAM_TRY(read_timestamp(object, request.options));
    LITESTREAM_TRY(read_generation(object, request.options));
    LITESTREAM_TRY(read_index(object, request.options));
    LITESTREAM_TRY(read_position(object, request.options));
    LITESTREAM_TRY(read_parallelism(object, request.options));
    LITESTREAM_TRY(read_bool(object, "if_db_not_exists", request.if_db_not_exists));
    LITESTREAM_TRY(read_bool(object, "if_replica_exists", request.if_replica_exists));
    LITESTREAM_TRY(read_bool(object, "progress", request.progress));
    LITESTREAM_TRY(check_target(request.options));
    return request;
}

Result<RestoreRequest> parse_validate_options(const std::string& url,
                                              const std::optional<std::string>& options) {
    RestoreRequest request;
    LITESTREAM_ASSIGN(const json::object object, parse_reading(url, options, kValidateKeys, request.url));
    LITESTREAM_TRY(read_position(object, request.options));
    LITESTREAM_TRY(read_parallelism(object, request.options));
    return request;
}

Result<Url> parse_listing_options(const std::string& url, const std::optional<std::string>& options) {
    RestoreRequest request;
    LITESTREAM_ASSIGN(const json::object object, parse_reading(url, options, {}, request.url));
    LITESTREAM_TRY(read_parallelism(object, request.options));
    return request.url;
}

}  // namespace litestream
