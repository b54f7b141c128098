#include "ext/upstream.h"

#include <sys/stat.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <utility>

#include "ext/follower.h"
#include "ext/runtime.h"
#include "ext/sql_value.h"
#include "ext/store_options.h"
#include "shared/base/clock.h"
#include "shared/base/directory.h"
#include "shared/base/json.h"
#include "shared/base/text.h"
#include "shared/base/url.h"
#include "shared/net/token.h"
#include "shared/replica/replica_client.h"
#include "vfs/applied_log.h"

namespace litestream {
namespace {

namespace json = boost::json;

constexpr std::string_view kStreamKeys[] = {"timeout", "interval", "token_file", "replace"};
constexpr std::int64_t kMinIntervalMs = 10;
constexpr int kSettleMs = 1000;

Error wrong_type(std::string_view key, const char* expected) {
    return bad_input("option \"" + std::string(key) + "\" must be " + expected);
}

Status read_duration(std::string_view key, const json::value& value, std::int64_t& out_ms) {
    if (!value.is_string() && !value.is_number()) {
        return wrong_type(key, "a duration, such as \"10s\" or 10");
    }
    json::error_code error;
    auto duration = value.is_string() ? parse_duration_ms(std::string_view(value.get_string()))
                                      : seconds_to_ms(value.to_number<double>(error));
    if (!duration) return std::move(duration).error().context("option \"" + std::string(key) + "\"");
    out_ms = *duration;
    return {};
}

// Remembered, it has to mean the same file in a process that starts elsewhere.
Status read_token_path(const json::value& value, std::string& out) {
    if (!value.is_string() || value.get_string().empty()) return wrong_type("token_file", "a path");
    std::error_code error;
    out = std::filesystem::absolute(std::string(value.get_string()), error).string();
    if (error) return bad_input("option \"token_file\": " + error.message());
    return {};
}

Status read_option(std::string_view key, const json::value& value, StreamRequest& out) {
    if (value.is_null()) return {};
    if (key == "timeout") return read_duration(key, value, out.timeout_ms);
    if (key == "interval") return read_duration(key, value, out.upstream.interval_ms);
    if (key == "token_file") return read_token_path(value, out.upstream.token_file);
    if (!value.is_bool()) return wrong_type(key, "true or false");
    out.replace = value.get_bool();
    return {};
}

bool is_stream_key(std::string_view key) {
    return std::find(std::begin(kStreamKeys), std::end(kStreamKeys), key) != std::end(kStreamKeys);
}

// --- What the store of a bucket needs ---

// Null: none such.
const StoreOption* find_store_option(const Url& url, std::string_view key) {
    const auto options = store_options(url);
    const auto found = std::ranges::find(options, key, &StoreOption::key);
    return found == options.end() ? nullptr : &*found;
}

std::string known_keys(const Url& url) {
    std::string text;
    for (const std::string_view key : kStreamKeys) text.append(text.empty() ? "" : ", ").append(key);
    for (const StoreOption& option : store_options(url)) text.append(", ").append(option.key);
    return text;
}

Status set_store_option(const StoreOption& option, const json::value& value, Url& url) {
    if (value.is_null()) return {};
    LITESTREAM_ASSIGN(std::string text, store_text(option, value));
    std::erase_if(url.query, [&](const auto& pair) { return pair.first == option.key; });
    url.query.emplace_back(option.key, std::move(text));
    return {};
}

// --- Where the keys stand ---

Status read_query(Url& url, StreamRequest& out) {
    for (const auto& [key, value] : url.query) {
        if (find_store_option(url, key) != nullptr) continue;
        if (!is_stream_key(key)) {
            return bad_input(url.to_string() + ": unknown key \"" + key + "\" in the query; known are " +
                             known_keys(url));
        }
        const bool is_switch = key == "replace" && (value == "true" || value == "false");
        LITESTREAM_TRY(read_option(key, is_switch ? json::value(value == "true") : json::value(value), out));
    }
    std::erase_if(url.query, [](const auto& pair) { return is_stream_key(pair.first); });
    return {};
}

Status read_options(const std::optional<std::string>& text, Url& url, StreamRequest& out) {
    if (!text) return {};
    json::object object;
    LITESTREAM_TRY(parse_json_object(*text, "options", object));
    for (const auto& [name, value] : object) {
        const std::string_view key(name.data(), name.size());
        if (const StoreOption* option = find_store_option(url, key)) {
            LITESTREAM_TRY(set_store_option(*option, value, url));
            continue;
        }
        if (!is_stream_key(key)) {
            return bad_input("unknown option \"" + std::string(key) + "\"; known are " + known_keys(url));
        }
        LITESTREAM_TRY(read_option(key, value, out));
    }
    return {};
}

// As a server finds what a URL names: by the path, by the file name alone if no other one has it.
bool names_only(const std::string& wanted, const std::string& path) {
    if (wanted.empty() || wanted == path) return true;
    const auto is_called = [&](const std::string& other) {
        return wanted.rfind('/') == 0 && other.ends_with(wanted);
    };
    const auto open = runtime().replications();
    return is_called(path) && std::all_of(open.begin(), open.end(), [&](const auto& replication) {
               return replication->database().path() == path || !is_called(replication->database().path());
           });
}

Status check_not_itself(const std::string& path, const std::string& url_text) {
    LITESTREAM_ASSIGN(const Url url, Url::parse(url_text));
    if (!runtime().http_service().is_at(url) || !names_only(url.path, path)) return {};
    return bad_input(url_text + " is " + path +
                     " itself, served by this very process; name the database to follow, by its absolute "
                     "path if several share a file name");
}

// As it is remembered and compared: without a slash at the end, of the query the store's options only.
Result<std::string> upstream_url(Url url) {
    if (url.scheme == "file" || url.scheme == "s3") {
        LITESTREAM_ASSIGN(const auto client, open_replica_client(url));
        return client->url();
    }
    if (url.scheme != "http" && url.scheme != "https") {
        return bad_input(url.to_string() +
                         ": cannot be followed; use http://HOST:PORT/PATH, https://..., s3://BUCKET/PATH or "
                         "file:///DIRECTORY");
    }
    if (url.host.empty()) return bad_input(url.to_string() + ": names no host");
    while (url.path.ends_with('/')) url.path.pop_back();
    return url.to_string();
}

}  // namespace

Result<StreamRequest> parse_stream_request(const std::string& url_text,
                                           const std::optional<std::string>& options) {
    LITESTREAM_ASSIGN(Url url, Url::parse(url_text));
    StreamRequest request;
    LITESTREAM_TRY(read_query(url, request));
    LITESTREAM_TRY(read_options(options, url, request));
    LITESTREAM_ASSIGN(request.upstream.url, upstream_url(std::move(url)));
    if (request.upstream.interval_ms < kMinIntervalMs) {
        return bad_input("option \"interval\" must be at least " + format_duration(kMinIntervalMs));
    }
    return request;
}

Result<bool> parse_stop_options(const std::optional<std::string>& options) {
    if (!options) return false;
    json::object object;
    LITESTREAM_TRY(parse_json_object(*options, "options", object));
    bool promote = false;
    for (const auto& [name, value] : object) {
        const std::string_view key(name.data(), name.size());
        if (key != "promote") {
            return bad_input("unknown option \"" + std::string(key) + "\"; known is promote");
        }
        if (value.is_null()) continue;
        if (!value.is_bool()) return wrong_type(key, "true or false");
        promote = value.get_bool();
    }
    return promote;
}

Status check_followable(const Replication& replication, const StreamRequest& request) {
    const std::string& path = replication.database().path();
    LITESTREAM_TRY(check_not_itself(path, request.upstream.url));
    const std::string& token_file = request.upstream.token_file;
    if (!token_file.empty()) LITESTREAM_TRY(read_token_file(token_file));
    if (const auto members = replication.members(); !members.empty()) {
        const std::string name = members.front()->spec().name;
        return bad_input(path + " is replicated (" + name + ", " + members.front()->spec().url +
                         "), and a live replica is not; SELECT litestream_unreplicate('" + name + "') first");
    }
    const auto upstream = replication.upstream();
    if (!upstream || !upstream->is_followed || request.replace) return {};
    if (upstream->url == request.upstream.url) return {};
    return bad_input(path + " follows " + upstream->url +
                     "; SELECT litestream_stream_stop() first, and then give {\"replace\":true}");
}

Error needs_replace(const Replication& replication, const UpstreamSpec& upstream) {
    return bad_input(replication.database().path() + " is not empty, and no replica of " + upstream.url +
                     ": following would replace what is in it; use a new file, or give {\"replace\":true}");
}

SourceState replica_state(const Database& database) {
    if (auto state = database.applied_state()) return *std::move(state);
    SourceState state;
    if (!database.is_replica()) return state;
    AppliedLog log;
    if (!log.open(database.store().path(), database_mode(database.path()))) return state;
    const auto newest = log.newest();
    return newest ? newest->state : state;
}

std::optional<double> replica_lag_seconds(const Replication& replication) {
    if (const auto follower = replication.follower()) return follower->status().lag_seconds;
    const std::int64_t commit_ms = replica_state(replication.database()).time_ms;
    if (commit_ms == 0) return std::nullopt;
    return static_cast<double>(std::max<std::int64_t>(wall_clock_ms() - commit_ms, 0)) / 1000;
}

// --- The role ---

Following::Following(Replication& replication)
    : replication_(replication), previous_(replication.upstream()) {
    Database& database = replication.database();
    was_replica_ = database.is_replica();
    was_wanted_ = database.wants_capture();
    had_meta_ = file_exists(database.store().path());
}

Following::Following(Following&& other) noexcept
    : replication_(other.replication_),
      url_(std::move(other.url_)),
      previous_(std::move(other.previous_)),
      was_replica_(other.was_replica_),
      was_wanted_(other.was_wanted_),
      had_meta_(other.had_meta_),
      goes_on_(other.goes_on_),
      is_kept_(std::exchange(other.is_kept_, true)) {}

Following::~Following() {
    if (!is_kept_) undo();
}

Result<Following> Following::begin(Replication& replication, const UpstreamSpec& upstream) {
    Following following(replication);
    following.url_ = upstream.url;
    following.goes_on_ =
        following.was_replica_ && following.previous_ && following.previous_->url == upstream.url;
    if (auto taken = following.take_role(); !taken) {
        following.keep();
        return std::move(taken).error();
    }
    LITESTREAM_TRY(replication.follow(upstream, following.goes_on_));
    return following;
}

// Capture, if it is at work, comes to rest before the store is somebody else's.
Status Following::take_role() {
    Database& database = replication_.database();
    if (was_wanted_ && database.is_mapped()) (void)database.wait_captured(kSettleMs);
    if (was_wanted_) database.unwant_capture();
    auto begun = database.begin_replica();
    if (!begun && was_wanted_) database.want_capture();
    return begun;
}

void Following::undo() {
    if (was_replica_ && previous_ && previous_->is_followed) {
        (void)replication_.follow(*previous_, true);
        return;
    }
    if (replication_.unfollow(previous_) && !was_replica_) drop_role();
}

void Following::drop_role() {
    Database& database = replication_.database();
    database.store().close();
    (void)database.end_replica("following " + url_ + " failed");
    if (!had_meta_) (void)remove_directory_tree(database.store().path());
    if (was_wanted_) database.want_capture();
}

}  // namespace litestream
