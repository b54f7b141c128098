#include "shared/net/proxy.h"

#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <string_view>

#include "shared/base/text.h"
#include "shared/net/address.h"
#include "shared/net/base64.h"

namespace litestream {
namespace {

constexpr std::size_t kMaxProxySize = 2048;
constexpr std::string_view kSeparators = ", \t";

struct Setting {
    const char* name = "";
    std::string value;
};

Setting first_set(const Environment& environment, std::initializer_list<const char*> names) {
    for (const char* name : names) {
        const char* value = environment(name);
        if (value != nullptr && *value != '\0') return {name, value};
    }
    return {};
}

std::string_view without_brackets(std::string_view host) {
    const bool has_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    return has_brackets ? host.substr(1, host.size() - 2) : host;
}

// "example.com" and ".example.com" stand for that host and all below it; with a port, for that port only.
bool is_excepted_by(std::string_view entry, std::string_view host, std::string_view port) {
    const std::size_t colon = entry.rfind(':');
    const bool has_port = colon != std::string_view::npos && entry.find(':') == colon;
    const bool has_v6_port = colon != std::string_view::npos && colon > 0 && entry[colon - 1] == ']';
    if (has_port || has_v6_port) {
        if (entry.substr(colon + 1) != port) return false;
        entry = entry.substr(0, colon);
    }
    if (entry.starts_with('.')) entry.remove_prefix(1);
    entry = without_brackets(entry);
    if (entry.empty() || !host.ends_with(entry)) return false;
    return host.size() == entry.size() || host[host.size() - entry.size() - 1] == '.';
}

bool is_excepted(std::string_view list, const std::string& host, const std::string& port) {
    const std::string name = to_lower(without_brackets(host));
    const std::string entries = to_lower(list);
    for (std::size_t at = 0; at < entries.size();) {
        const std::size_t end = std::min(entries.find_first_of(kSeparators, at), entries.size());
        const std::string_view entry = std::string_view(entries).substr(at, end - at);
        if (entry == "*" || is_excepted_by(entry, name, port)) return true;
        at = end + 1;
    }
    return false;
}

int hex_digit(char c) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    const std::size_t digit = kDigits.find(to_lower({&c, 1}));
    return digit == std::string_view::npos ? -1 : static_cast<int>(digit);
}

std::string decode(std::string_view text) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); i++) {
        const bool is_escape = text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
                               hex_digit(text[i + 2]) >= 0;
        decoded +=
            is_escape ? static_cast<char>(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2])) : text[i];
        if (is_escape) i += 2;
    }
    return decoded;
}

Error proxy_error(const Setting& setting, const std::string& why) {
    return bad_input("the proxy in the environment variable " + std::string(setting.name) + ": " + why);
}

Result<std::optional<Proxy>> parse_proxy(const Setting& setting) {
    std::string_view text = setting.value;
    if (text.size() > kMaxProxySize) return proxy_error(setting, "it is too long");
    if (const std::size_t scheme = text.find("://"); scheme != std::string_view::npos) {
        if (to_lower(text.substr(0, scheme)) != "http") {
            return proxy_error(setting, "only http:// proxies are supported");
        }
        text.remove_prefix(scheme + 3);
    }
    text = text.substr(0, text.find_first_of("/?#"));
    Proxy proxy;
    if (const std::size_t at = text.rfind('@'); at != std::string_view::npos) {
        const std::string user_info = decode(text.substr(0, at));
        const bool has_password = user_info.find(':') != std::string::npos;
        proxy.authorization = "Basic " + to_base64(as_bytes(has_password ? user_info : user_info + ":"));
        text.remove_prefix(at + 1);
    }
    const bool has_port = text.rfind(':') != std::string_view::npos && !text.ends_with(']');
    const auto parts = parse_host_port(std::string(text) + (has_port ? "" : ":1080"));
    if (!parts || parts->host.empty()) return proxy_error(setting, "expected http://HOST:PORT");
    proxy.host = parts->host.find(':') == std::string::npos ? parts->host : "[" + parts->host + "]";
    proxy.port = parts->port;
    return std::optional(std::move(proxy));
}

}  // namespace

Result<std::optional<Proxy>> proxy_for(const Url& url, const Environment& environment) {
    if (is_near_host(url.host)) return std::optional<Proxy>();
    const Setting setting =
        url.scheme == "https"
            ? first_set(environment, {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})
            : first_set(environment, {"http_proxy", "all_proxy", "ALL_PROXY"});
    const Setting exceptions = first_set(environment, {"no_proxy", "NO_PROXY"});
    if (setting.value.empty() || is_excepted(exceptions.value, url.host, url.port)) {
        return std::optional<Proxy>();
    }
    return parse_proxy(setting);
}

Result<std::optional<Proxy>> proxy_for(const Url& url) {
    return proxy_for(url, [](const char* name) { return ::secure_getenv(name); });
}

}  // namespace litestream
