#include "shared/net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <strings.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "shared/net/http_server.h"

namespace litestream {
namespace {

constexpr std::size_t kMaxHostSize = 255;

// The C API casts sockaddr; a copy into the right type does not break aliasing rules.
template <typename T>
T address_as(const Endpoint& endpoint) {
    static_assert(sizeof(T) <= sizeof endpoint.address);
    T typed;
    std::memcpy(&typed, &endpoint.address, sizeof typed);
    return typed;
}

bool is_port(const std::string& text) {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    return !text.empty() && text.size() <= 5 && std::all_of(text.begin(), text.end(), is_digit) &&
           std::stoul(text) <= 65535;
}

Error address_error(const std::string& address, const std::string& why) {
    return bad_input("invalid address \"" + address.substr(0, kMaxHostSize) + "\": " + why);
}

std::string without_brackets(const std::string& host) {
    const bool has_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    return has_brackets ? host.substr(1, host.size() - 2) : host;
}

addrinfo hints_for(Lookup how) {
    addrinfo hints = {};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    if (how == Lookup::kNumericOnly) hints.ai_flags |= AI_NUMERICHOST;
    if (how == Lookup::kListen) hints.ai_flags |= AI_PASSIVE;
    return hints;
}

Endpoint endpoint_of(const addrinfo& info) {
    Endpoint endpoint;
    endpoint.size_bytes = std::min<socklen_t>(info.ai_addrlen, sizeof endpoint.address);
    std::memcpy(&endpoint.address, info.ai_addr, endpoint.size_bytes);
    return endpoint;
}

bool is_v4(const Endpoint& endpoint) { return endpoint.address.ss_family == AF_INET; }

}  // namespace

std::uint16_t Endpoint::port() const {
    if (address.ss_family == AF_INET) return ntohs(address_as<sockaddr_in>(*this).sin_port);
    if (address.ss_family == AF_INET6) return ntohs(address_as<sockaddr_in6>(*this).sin6_port);
    return 0;
}

bool Endpoint::is_loopback() const {
    if (address.ss_family == AF_INET) {
        return ntohl(address_as<sockaddr_in>(*this).sin_addr.s_addr) >> 24 == 127;
    }
    if (address.ss_family != AF_INET6) return false;
    const in6_addr v6 = address_as<sockaddr_in6>(*this).sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

std::string Endpoint::to_string() const {
    char text[INET6_ADDRSTRLEN] = {};
    const std::string port_text = ":" + std::to_string(port());
    if (address.ss_family == AF_INET) {
        const in_addr v4 = address_as<sockaddr_in>(*this).sin_addr;
        ::inet_ntop(AF_INET, &v4, text, sizeof text);
        return text + port_text;
    }
    if (address.ss_family != AF_INET6) return "unknown";
    const in6_addr v6 = address_as<sockaddr_in6>(*this).sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&v6)) {
        ::inet_ntop(AF_INET, &v6.s6_addr[12], text, sizeof text);
        return text + port_text;
    }
    ::inet_ntop(AF_INET6, &v6, text, sizeof text);
    return "[" + std::string(text) + "]" + port_text;
}

Result<HostPort> parse_host_port(const std::string& address) {
    const std::size_t colon = address.rfind(':');
    if (colon == std::string::npos || address.ends_with(']')) {
        return address_error(address, "it has no port; write HOST:PORT");
    }
    HostPort parts{address.substr(0, colon), address.substr(colon + 1)};
    if (!is_port(parts.port)) return address_error(address, "the port must be a number from 0 to 65535");
    if (parts.host.size() > kMaxHostSize) return address_error(address, "the host is too long");
    const bool has_brackets = parts.host.starts_with('[');
    const std::string bare = without_brackets(parts.host);
    if (has_brackets && (bare == parts.host || bare.find(':') == std::string::npos)) {
        return address_error(address, "brackets are for IPv6 addresses; write [::1]:PORT");
    }
    if (!has_brackets && bare.find(':') != std::string::npos) {
        return address_error(address, "write an IPv6 address in brackets, [::1]:PORT");
    }
    const auto is_strange = [](char c) { return c <= ' ' || c == 127 || c == '/' || c == '@'; };
    if (std::any_of(bare.begin(), bare.end(), is_strange)) {
        return address_error(address, "the host is no name and no address");
    }
    parts.host = bare;
    return parts;
}

Result<std::vector<Endpoint>> look_up(const std::string& host, const std::string& port, Lookup how) {
    const addrinfo hints = hints_for(how);
    const std::string bare = without_brackets(host);
    addrinfo* list = nullptr;
    const int code = ::getaddrinfo(bare.empty() ? nullptr : bare.c_str(), port.c_str(), &hints, &list);
    if (code != 0) return Error{ErrorCode::kIo, ::gai_strerror(code)};
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
    std::vector<Endpoint> endpoints;
    for (const addrinfo* info = list; info != nullptr; info = info->ai_next) {
        endpoints.push_back(endpoint_of(*info));
    }
    if (endpoints.empty()) return Error{ErrorCode::kIo, "the host has no address"};
    return endpoints;
}

Result<std::vector<Endpoint>> listen_endpoints(const std::string& address) {
    LITESTREAM_ASSIGN(const HostPort parts, parse_host_port(address));
    auto endpoints = look_up(parts.host, parts.port, Lookup::kListen);
    if (!endpoints) return address_error(address, endpoints.error().message);
    // One socket listens: on all addresses of both families where none is named, else on IPv4 first, which
    // is what most clients of a name try.
    const bool wants_v4 = !parts.host.empty();
    std::stable_sort(endpoints->begin(), endpoints->end(), [&](const Endpoint& a, const Endpoint& b) {
        return is_v4(a) != is_v4(b) && is_v4(a) == wants_v4;
    });
    return endpoints;
}

bool is_loopback_host(const std::string& host) {
    const std::string bare = without_brackets(host);
    if (bare.empty()) return false;
    if (::strcasecmp(bare.c_str(), "localhost") == 0) return true;
    const auto endpoints = look_up(bare, "0", Lookup::kNumericOnly);
    return endpoints && endpoints->front().is_loopback();
}

bool is_near_host(const std::string& host) {
    if (is_loopback_host(host)) return true;
    const auto endpoints = look_up(host, "80", Lookup::kNumericOnly);
    if (!endpoints) return false;
    const std::string address = endpoints->front().to_string();
    const auto is_in = [&](const char* network) { return address.starts_with(network); };
    // The last one is AWS's for its own services; it is routed nowhere else.
    return is_in("169.254.") || is_in("[fe80:") || is_in("[fd00:ec2:");
}

Result<bool> is_loopback_address(const std::string& address) {
    LITESTREAM_ASSIGN(const std::vector<Endpoint> endpoints, listen_endpoints(address));
    return std::all_of(endpoints.begin(), endpoints.end(), [](const Endpoint& e) { return e.is_loopback(); });
}

}  // namespace litestream
