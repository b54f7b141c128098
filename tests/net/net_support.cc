#include "tests/net/net_support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>

namespace litestream {
namespace {

constexpr int kDeadlineMs = 10'000;

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

File listen_socket() {
    File socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "listener");
    const sockaddr_in address = loopback(0);
    if (::bind(socket.descriptor(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(socket.descriptor(), 16) != 0) {
        throw std::runtime_error("cannot listen");
    }
    return socket;
}

std::uint16_t port_of(const File& socket) {
    sockaddr_in address = {};
    socklen_t size = sizeof address;
    ::getsockname(socket.descriptor(), reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
}

bool wait_readable(int descriptor) {
    pollfd watched = {descriptor, POLLIN, 0};
    return ::poll(&watched, 1, kDeadlineMs) == 1;
}

}  // namespace

RawPeer RawPeer::connect(std::uint16_t port) {
    File socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "client");
    const sockaddr_in address = loopback(port);
    if (::connect(socket.descriptor(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        throw std::runtime_error("cannot connect");
    }
    return RawPeer(std::move(socket));
}

bool RawPeer::send(std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::send(descriptor(), text.data(), text.size(), MSG_NOSIGNAL);
        if (n < 0) return false;
        text.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

std::string RawPeer::read_some() {
    std::string buffer(16 * 1024, '\0');
    if (!wait_readable(descriptor())) return "";
    const ssize_t n = ::recv(descriptor(), buffer.data(), buffer.size(), 0);
    buffer.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
    return buffer;
}

std::string RawPeer::read_until(std::string_view end) {
    std::string text;
    while (text.find(end) == std::string::npos) {
        const std::string more = read_some();
        if (more.empty()) break;
        text += more;
    }
    return text;
}

std::string RawPeer::read_all() {
    std::string text;
    for (std::string more = read_some(); !more.empty(); more = read_some()) text += more;
    return text;
}

void RawPeer::shut_write() { ::shutdown(descriptor(), SHUT_WR); }

ScriptedServer::ScriptedServer(Script script, int connections)
    : script_(std::move(script)), listener_(listen_socket()), port_(port_of(listener_)) {
    thread_ = std::thread([this, connections] { run(connections); });
}

ScriptedServer::~ScriptedServer() {
    ::shutdown(listener_.descriptor(), SHUT_RDWR);  // wakes accept
    thread_.join();
}

void ScriptedServer::run(int connections) {
    for (int i = 0; i < connections; i++) {
        const int descriptor = ::accept4(listener_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC);
        if (descriptor < 0) return;
        RawPeer peer(File(descriptor, "accepted"));
        script_(peer);
    }
}

ScriptedServer::Script answer_with(std::string answer) {
    return [answer = std::move(answer)](RawPeer& peer) {
        peer.read_until("\r\n\r\n");
        peer.send(answer);
    };
}

void Tally::add(const std::string& what) {
    const std::lock_guard lock(mutex_);
    seen_.push_back(what);
    changed_.notify_all();
}

int Tally::count(const std::string& what) const {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(std::count(seen_.begin(), seen_.end(), what));
}

bool Tally::wait_for(const std::string& what, int times) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(kDeadlineMs),
                             [&] { return std::count(seen_.begin(), seen_.end(), what) >= times; });
}

HttpGet get_request(std::uint16_t port, const std::string& target, const std::string& scheme) {
    HttpGet get;
    get.url.scheme = scheme;
    get.url.host = "127.0.0.1";
    get.url.port = std::to_string(port);
    get.target = target;
    get.read_timeout_ms = kDeadlineMs;
    return get;
}

std::string read_body(HttpClient& client) {
    std::string body;
    Bytes buffer(1000);
    for (;;) {
        const auto size = client.read(buffer);
        if (!size) return "error: " + size.error().message;
        if (*size == 0) return body;
        body += as_text(ByteView(buffer).first(*size));
    }
}

std::uint16_t unused_port() { return port_of(listen_socket()); }

}  // namespace litestream
