#include "shared/replica/s3_location.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <map>
#include <optional>

#include "shared/base/text.h"
#include "shared/net/address.h"
#include "shared/replica/replica_client.h"

namespace litestream {
namespace {

constexpr std::size_t kMaxBucketSize = 255;
constexpr std::size_t kMaxRegionSize = 64;
constexpr const char* kDefaultRegion = "us-east-1";
constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";

constexpr StoreOption kOptions[] = {
    {"endpoint", StoreOptionKind::kText},           {"region", StoreOptionKind::kText},
    {"force_path_style", StoreOptionKind::kSwitch}, {"allow_http", StoreOptionKind::kSwitch},
    {"skip_verify", StoreOptionKind::kSwitch},      {"parallelism", StoreOptionKind::kNumber}};

enum class Style { kPath, kVirtualHosted, kAws };

// Endpoints that are known by their names. '*' is one label: the region where that says '*', else an account.
struct Provider {
    std::string_view host;
    std::string_view region;
    Style style;
};
constexpr Provider kProviders[] = {{"localhost", kDefaultRegion, Style::kPath},
                                   {"s3.*.backblazeb2.com", "*", Style::kPath},
                                   {"s3.filebase.com", kDefaultRegion, Style::kPath},
                                   {"*.digitaloceanspaces.com", "*", Style::kPath},
                                   {"*.linodeobjects.com", "*", Style::kPath},
                                   {"*.eu.r2.cloudflarestorage.com", "auto", Style::kPath},
                                   {"*.fedramp.r2.cloudflarestorage.com", "auto", Style::kPath},
                                   {"*.r2.cloudflarestorage.com", "auto", Style::kPath},
                                   {"fly.storage.tigris.dev", "auto", Style::kVirtualHosted},
                                   {"t3.storage.dev", "auto", Style::kVirtualHosted},
                                   {"storage.googleapis.com", "auto", Style::kPath},
                                   {"s3.amazonaws.com", kDefaultRegion, Style::kAws},
                                   {"s3.*.amazonaws.com", "*", Style::kAws},
                                   {"s3.*.amazonaws.com.cn", "*", Style::kAws}};

struct Recognised {
    const Provider* provider = nullptr;  // null: none; then `bucket` is the whole host
    std::string bucket;
    std::string host;
    std::string region;
};

std::string_view last_label(std::string_view host) {
    return host.substr(std::min(host.rfind('.') + 1, host.size()));
}

void drop_last_label(std::string_view& host) { host = host.substr(0, host.size() - last_label(host).size()); }

// From behind, label by label; what is left over in front is the bucket.
std::optional<Recognised> match(const Provider& provider, std::string_view whole) {
    std::string_view host = whole;
    std::string_view region = provider.region;
    for (std::string_view pattern = provider.host; !pattern.empty();) {
        const std::string_view wanted = last_label(pattern);
        const std::string_view label = last_label(host);
        if (label.empty() || (wanted != "*" && wanted != label)) return std::nullopt;
        if (wanted == "*" && provider.region == "*") region = label;
        drop_last_label(pattern);
        drop_last_label(host);
        if (!pattern.empty() && !host.ends_with('.')) return std::nullopt;
        if (pattern.ends_with('.')) pattern.remove_suffix(1);
        if (host.ends_with('.')) host.remove_suffix(1);
    }
    const std::size_t taken = host.empty() ? 0 : host.size() + 1;
    return Recognised{&provider, std::string(host), std::string(whole.substr(taken)), std::string(region)};
}

Recognised recognise(const std::string& host) {
    for (const Provider& provider : kProviders) {
        if (auto found = match(provider, host)) return *std::move(found);
    }
    return {nullptr, host, "", ""};
}

std::string aws_endpoint(const std::string& region) {
    return "https://s3." + region + ".amazonaws.com" + (region.starts_with("cn-") ? ".cn" : "");
}

// --- What the query and the environment say ---

struct Setting {
    std::string value;  // empty: not set
    std::string from;   // `"endpoint"` or `LITESTREAM_ENDPOINT in the environment`
};
using Query = std::map<std::string, std::string>;

Result<Query> read_query(const Url& url) {
    Query query;
    for (const auto& [key, value] : url.query) {
        const auto is_it = [&key = key](const StoreOption& option) { return option.key == key; };
        if (std::none_of(std::begin(kOptions), std::end(kOptions), is_it)) {
            std::string known;
            for (const StoreOption& option : kOptions)
                known.append(known.empty() ? "" : ", ").append(option.key);
            return bad_input("unknown key \"" + key + "\" in the query; known for s3:// are " + known +
                             " and the options of litestream_replicate");
        }
        const auto [place, is_new] = query.try_emplace(key, value);
        if (!is_new && place->second != value) return bad_input("the query says \"" + key + "\" twice");
    }
    return query;
}

Setting from_query(const Query& query, const std::string& key) {
    const auto found = query.find(key);
    return {found == query.end() ? "" : found->second, "\"" + key + "\""};
}

Setting from_environment(const Environment& environment, std::initializer_list<const char*> names) {
    for (const char* name : names) {
        const char* value = environment(name);
        if (value != nullptr && *value != '\0') return {value, std::string(name) + " in the environment"};
    }
    return {};
}

Setting first_of(std::initializer_list<Setting> settings) {
    for (const Setting& setting : settings) {
        if (!setting.value.empty()) return setting;
    }
    return {};
}

Result<std::optional<bool>> switch_of(const Query& query, const std::string& key) {
    const auto found = query.find(key);
    if (found == query.end()) return std::optional<bool>();
    if (found->second != "true" && found->second != "false") {
        return bad_input("\"" + key + "\" must be true or false");
    }
    return std::optional(found->second == "true");
}

Result<unsigned> parallelism_of(const Query& query) {
    const auto found = query.find("parallelism");
    if (found == query.end()) return 0u;
    const std::string& text = found->second;
    unsigned number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < 1 || number > kMaxParallelism) {
        return bad_input("\"parallelism\" must be a number from 1 to " + std::to_string(kMaxParallelism));
    }
    return number;
}

bool is_plain(std::string_view text) { return text.find_first_not_of(kLetters) == std::string_view::npos; }

// It becomes a label of a host.
bool is_region(std::string_view text) {
    return !text.empty() && text.size() <= kMaxRegionSize && is_plain(text) &&
           text.find('.') == std::string_view::npos;
}

// With or without a scheme: https, on this machine http.
Result<Url> parse_endpoint(const Setting& setting) {
    const bool has_scheme = setting.value.find("://") != std::string::npos;
    auto url = Url::parse(has_scheme ? setting.value : "https://" + setting.value);
    const bool is_good = url && (url->scheme == "http" || url->scheme == "https") && !url->host.empty() &&
                         (url->path.empty() || url->path == "/") && url->query.empty();
    if (!is_good) return bad_input(setting.from + " is no endpoint; expected https://HOST[:PORT]");
    if (!has_scheme && is_loopback_host(url->host)) url->scheme = "http";
    url->path.clear();
    return url;
}

// --- The bucket and what lies in it ---

Status check_bucket(const Url& url, const Recognised& host) {
    const std::string port = url.port.empty() ? "" : ":" + url.port;
    if (host.bucket.empty()) {
        const std::string behind = host.provider == nullptr ? "" : "." + host.host + port;
        return bad_input("no bucket; expected s3://BUCKET" + behind + "/PATH");
    }
    const bool is_good = is_plain(host.bucket) && host.bucket.size() <= kMaxBucketSize &&
                         host.bucket.front() != '.' && host.bucket.find("..") == std::string::npos;
    if (!is_good) return bad_input("\"" + host.bucket + "\" is no name of a bucket");
    if (host.provider != nullptr || port.empty()) return {};
    return bad_input(
        "a bucket has no port; an endpoint that is not known by its name goes into the query: "
        "s3://BUCKET/PATH?endpoint=http://" +
        url.host + port);
}

Result<std::string> prefix_of(std::string_view path) {
    std::string prefix;
    while (!path.empty()) {
        const std::size_t end = std::min(path.find('/'), path.size());
        const std::string_view name = path.substr(0, end);
        path.remove_prefix(std::min(end + 1, path.size()));
        if (name == "..") return bad_input("\"..\" is not allowed in the path");
        if (name.empty() || name == ".") continue;
        prefix.append(prefix.empty() ? "" : "/").append(name);
    }
    return prefix;
}

// --- Together ---

// As a label of a host name; with dots a wildcard certificate does not fit.
bool fits_in_host(std::string_view bucket) {
    return bucket.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

// Empty: AWS's own, for whatever region.
Setting endpoint_of(const Url& url, const Recognised& host, const Query& query,
                    const Environment& environment) {
    const std::string in_host = host.host + (url.port.empty() ? "" : ":" + url.port);
    return first_of({from_query(query, "endpoint"),
                     from_environment(environment, {"LITESTREAM_ENDPOINT"}),
                     {host.provider == nullptr ? "" : in_host, "the host"},
                     from_environment(environment, {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"})});
}

Result<std::string> region_of(const Recognised& endpoint, const Query& query,
                              const Environment& environment) {
    const Setting region = first_of({from_query(query, "region"),
                                     from_environment(environment, {"LITESTREAM_REGION"}),
                                     {endpoint.region, "the host"},
                                     from_environment(environment, {"AWS_REGION", "AWS_DEFAULT_REGION"}),
                                     {kDefaultRegion, ""}});
    if (is_region(region.value)) return region.value;
    return bad_input(region.from + " is no name of a region, such as eu-central-1");
}

// What stands in the way of a plain connection: anybody between could read the database.
Status check_scheme(const Url& endpoint, bool allow_http) {
    if (endpoint.scheme == "https" || is_loopback_host(endpoint.host) || allow_http) return {};
    return bad_input("the endpoint " + endpoint.to_string() +
                     " is plain http to another machine; use https, or add allow_http=true if everybody in "
                     "between may read the database");
}

Status set_endpoint(S3Location& out, const Setting& setting, const Query& query,
                    const Environment& environment) {
    Recognised provider;
    LITESTREAM_ASSIGN(const auto allow_http, switch_of(query, "allow_http"));
    if (!setting.value.empty()) {
        LITESTREAM_ASSIGN(const Url endpoint, parse_endpoint(setting));
        LITESTREAM_TRY(check_scheme(endpoint, allow_http.value_or(false)));
        provider = recognise(endpoint.host);
        out.endpoint = endpoint.to_string();
    }
    const Style unnamed = setting.value.empty() ? Style::kAws : Style::kPath;
    const Style style = provider.provider == nullptr ? unnamed : provider.provider->style;
    LITESTREAM_ASSIGN(const auto force_path_style, switch_of(query, "force_path_style"));
    out.path_style = force_path_style.value_or(style == Style::kPath || !fits_in_host(out.bucket));
    out.is_aws = style == Style::kAws;
    LITESTREAM_ASSIGN(const std::string region, region_of(provider, query, environment));
    out.move_to(region);
    return {};
}

// One text for one place and one set of options, however it was typed.
Result<std::string> canonical_url(Url url, const std::string& prefix, const Query& query) {
    url.path = prefix.empty() ? "" : "/" + prefix;
    std::string text = url.to_string();
    char separator = '?';
    for (const StoreOption& option : kOptions) {
        Setting setting = from_query(query, std::string(option.key));
        if (setting.value.empty()) continue;
        if (option.key == "endpoint") {
            LITESTREAM_ASSIGN(const Url endpoint, parse_endpoint(setting));
            setting.value = endpoint.to_string();
        }
        text.append(1, separator).append(option.key).append("=").append(percent_encode(setting.value, ":/"));
        separator = '&';
    }
    return text;
}

Result<S3Location> parse(const Url& url, const Environment& environment) {
    LITESTREAM_ASSIGN(const Query query, read_query(url));
    const Recognised host = recognise(url.host);
    LITESTREAM_TRY(check_bucket(url, host));
    S3Location location;
    location.bucket = host.bucket;
    LITESTREAM_ASSIGN(location.prefix, prefix_of(url.path));
    LITESTREAM_TRY(set_endpoint(location, endpoint_of(url, host, query, environment), query, environment));
    LITESTREAM_ASSIGN(const auto skip_verify, switch_of(query, "skip_verify"));
    location.skip_verify = skip_verify.value_or(false);
    LITESTREAM_ASSIGN(location.parallelism, parallelism_of(query));
    LITESTREAM_ASSIGN(location.url, canonical_url(url, location.prefix, query));
    return location;
}

}  // namespace

std::string S3Location::base_url() const {
    if (path_style) return endpoint + "/" + bucket;
    const std::size_t host = endpoint.find("://") + 3;
    return endpoint.substr(0, host) + bucket + "." + endpoint.substr(host);
}

void S3Location::move_to(const std::string& to) {
    if (!is_region(to)) return;
    region = to;
    if (is_aws) endpoint = aws_endpoint(to);
}

Result<S3Location> parse_s3_location(const Url& url, const Environment& environment) {
    auto location = parse(url, environment);
    if (!location) return std::move(location).error().context(url.to_string());
    return location;
}

std::span<const StoreOption> s3_options() { return kOptions; }

}  // namespace litestream
