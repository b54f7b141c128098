// The proxy that the environment asks for, as curl reads it: http_proxy (in small letters only, since a CGI
// server puts a client's Proxy header into HTTP_PROXY), https_proxy, all_proxy, no_proxy; the last three in
// capitals too. Only http:// proxies. Loopback is always reached directly.
//
// Reentrant. What may be secret in a proxy's URL never gets into a message.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "shared/base/bytes.h"
#include "shared/base/result.h"
#include "shared/base/url.h"

namespace litestream {

struct Proxy {
    std::string host;           // may have brackets
    std::string port;           // 1080 unless given
    std::string authorization;  // value of Proxy-Authorization; empty: none

    std::string to_string() const { return host + ":" + port; }
};

using Environment = std::function<const char*(const char* name)>;

// For a connection to `url`, whose port is given. nullopt: directly.
Result<std::optional<Proxy>> proxy_for(const Url& url, const Environment& environment);
Result<std::optional<Proxy>> proxy_for(const Url& url);  // of this process, by secure_getenv

}  // namespace litestream
