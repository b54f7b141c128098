#include "tests/ext/http_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

namespace litestream::test {
namespace {

constexpr int kTimeoutSeconds = 20;

std::uint16_t port_of(const std::string& url) {
    return static_cast<std::uint16_t>(std::strtoul(url.c_str() + url.rfind(':') + 1, nullptr, 10));
}

}  // namespace

HttpProbe::HttpProbe(const std::string& url) : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_of(url));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval timeout = {kTimeoutSeconds, 0};
    (void)::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    if (::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return;
    ::close(descriptor_);
    throw std::runtime_error("cannot connect to " + url);
}

HttpProbe::~HttpProbe() { ::close(descriptor_); }

void HttpProbe::send(const std::string& text) {
    const auto sent = ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(text.size())) throw std::runtime_error("cannot send");
}

bool HttpProbe::receive() {
    char buffer[4096];
    const auto count = ::recv(descriptor_, buffer, sizeof buffer, 0);
    if (count > 0) received_.append(buffer, static_cast<std::size_t>(count));
    return count > 0;
}

std::string HttpProbe::read_until(const std::string& part) {
    while (received_.find(part) == std::string::npos && receive()) continue;
    return received_;
}

std::string HttpProbe::read_all() {
    while (receive()) continue;
    return received_;
}

BusyPort::BusyPort() : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* name = reinterpret_cast<sockaddr*>(&address);
    const bool is_taken = ::bind(descriptor_, name, size) == 0 && ::listen(descriptor_, 1) == 0 &&
                          ::getsockname(descriptor_, name, &size) == 0;
    if (!is_taken) throw std::runtime_error("cannot listen");
    port_ = ntohs(address.sin_port);
}

BusyPort::~BusyPort() { ::close(descriptor_); }

std::string http_get(const std::string& url, const std::string& target, const std::string& headers) {
    HttpProbe probe(url);
    const bool has_host = headers.find("Host:") != std::string::npos;
    const std::string host = has_host ? "" : "Host: " + url.substr(url.rfind('/') + 1) + "\r\n";
    probe.send("GET " + target + " HTTP/1.1\r\n" + host + headers + "Connection: close\r\n\r\n");
    return probe.read_all();
}

unsigned status_of(const std::string& answer) {
    const std::size_t space = answer.find(' ');
    if (space == std::string::npos) return 0;
    return static_cast<unsigned>(std::strtoul(answer.c_str() + space + 1, nullptr, 10));
}

std::string body_of(const std::string& answer) {
    const std::size_t end = answer.find("\r\n\r\n");
    return end == std::string::npos ? "" : answer.substr(end + 4);
}

}  // namespace litestream::test
