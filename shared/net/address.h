// Addresses of sockets: the text that users type for them, and what the kernel takes. Name lookups block
// here; who cannot wait uses shared/net/resolver.h. Reentrant.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "shared/base/result.h"

namespace litestream {

struct Endpoint {
    sockaddr_storage address = {};
    socklen_t size_bytes = 0;

    std::uint16_t port() const;
    bool is_loopback() const;
    std::string to_string() const;  // "127.0.0.1:80", "[::1]:80"; an IPv4 address in IPv6 clothes as IPv4
};

struct HostPort {
    std::string host;  // without brackets; "" stands for every address of the machine
    std::string port;  // 0 to 65535
};

// "HOST:PORT", "[V6]:PORT" or ":PORT"; kInput says what is wrong.
Result<HostPort> parse_host_port(const std::string& address);
// The endpoints to listen on, the best first; kInput also where a name is unknown.
Result<std::vector<Endpoint>> listen_endpoints(const std::string& address);

enum class Lookup : std::uint8_t { kName, kNumericOnly, kListen };
// `host` may have brackets. kIo: the resolver's own words, without the host.
Result<std::vector<Endpoint>> look_up(const std::string& host, const std::string& port, Lookup how);

// Of a host as in a URL, without asking anybody: localhost, 127.0.0.0/8, ::1.
bool is_loopback_host(const std::string& host);
// Loopback, or link-local, where a machine asks who it is: nothing of that is meant for a proxy.
bool is_near_host(const std::string& host);

}  // namespace litestream
