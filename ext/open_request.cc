#include "ext/open_request.h"

#include <stdlib.h>

#include "shared/base/text.h"
#include "vfs/sqlite.h"

namespace litestream {
namespace {

constexpr const char* kReplicaVariable = "LITESTREAM_REPLICA_URL";
constexpr const char* kUpstreamVariable = "LITESTREAM_UPSTREAM_URL";
constexpr const char* kAddressVariable = "LITESTREAM_ADDR";
constexpr std::string_view kPlaceholder = "{name}";

std::string with_name(std::string url, const std::string& path) {
    const std::string name = percent_encode(path.substr(path.rfind('/') + 1));
    for (std::size_t at = 0; (at = url.find(kPlaceholder, at)) != std::string::npos; at += name.size()) {
        url.replace(at, kPlaceholder.size(), name);
    }
    return url;
}

}  // namespace

std::optional<std::string> OpenRequests::replica_of(const char* name) {
    const char* url = sqlite3_uri_parameter(name, "replica");
    if (url != nullptr && *url != '\0') return url;
    return from_environment(kReplicaVariable, name, first_replicated_);
}

std::optional<std::string> OpenRequests::upstream_of(const char* name) {
    const char* url = sqlite3_uri_parameter(name, "upstream");
    if (url != nullptr && *url != '\0') return url;
    return from_environment(kUpstreamVariable, name, first_follower_);
}

std::optional<std::string> OpenRequests::address_of(const char* name) {
    const char* address = sqlite3_uri_parameter(name, "serve");
    if (address != nullptr && *address != '\0') return address;
    return from_environment(kAddressVariable, name, first_served_);
}

std::optional<std::string> OpenRequests::from_environment(const char* variable, const std::string& path,
                                                          std::string& first_database) {
    const char* value = ::secure_getenv(variable);
    if (value == nullptr || *value == '\0') return std::nullopt;
    const std::string url = value;
    if (url.find(kPlaceholder) != std::string::npos) return with_name(url, path);
    const std::lock_guard lock(mutex_);
    if (first_database.empty()) first_database = path;
    if (first_database != path) return std::nullopt;
    return url;
}

}  // namespace litestream
