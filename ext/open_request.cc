#include "ext/open_request.h"

#include <stdlib.h>

#include "shared/base/text.h"
#include "vfs/sqlite.h"

namespace litestream {
namespace {

constexpr const char* kParameter = "replica";
constexpr const char* kVariable = "LITESTREAM_REPLICA_URL";
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
    const char* url = sqlite3_uri_parameter(name, kParameter);
    if (url != nullptr && *url != '\0') return url;
    return from_environment(name);
}

std::optional<std::string> OpenRequests::from_environment(const std::string& path) {
    const char* variable = ::secure_getenv(kVariable);
    if (variable == nullptr || *variable == '\0') return std::nullopt;
    const std::string url = variable;
    if (url.find(kPlaceholder) != std::string::npos) return with_name(url, path);
    const std::lock_guard lock(mutex_);
    if (first_database_.empty()) first_database_ = path;
    if (first_database_ != path) return std::nullopt;
    return url;
}

}  // namespace litestream
