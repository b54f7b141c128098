#include "shared/net/net_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "shared/base/clock.h"

namespace litestream {
namespace {

Error interrupted() { return {ErrorCode::kInterrupt, "interrupted"}; }

bool would_block(int error_number) { return error_number == EAGAIN || error_number == EWOULDBLOCK; }

void set_option(int descriptor, int level, int name) {
    const int on = 1;
    (void)::setsockopt(descriptor, level, name, &on, sizeof on);
}

int connect_error(int descriptor) {
    int error_number = 0;
    socklen_t size = sizeof error_number;
    if (::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error_number, &size) != 0) return errno;
    return error_number;
}

Result<File> connect_one(const Endpoint& endpoint, std::int64_t deadline_ms, const Canceller& canceller) {
    File file(::socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    if (!file.is_open()) return net_error(errno);
    set_option(file.descriptor(), IPPROTO_TCP, TCP_NODELAY);
    set_option(file.descriptor(), SOL_SOCKET, SO_KEEPALIVE);
    const auto* address = reinterpret_cast<const sockaddr*>(&endpoint.address);
    if (::connect(file.descriptor(), address, endpoint.size_bytes) == 0) return file;
    if (errno != EINPROGRESS && errno != EINTR) return net_error(errno);
    LITESTREAM_ASSIGN(const bool is_ready, canceller.wait(file.descriptor(), POLLOUT, deadline_ms));
    if (!is_ready) return net_error("no answer in time");
    if (const int error_number = connect_error(file.descriptor())) return net_error(error_number);
    return file;
}

}  // namespace

Error net_error(std::string message) { return {ErrorCode::kIo, std::move(message)}; }

Error net_error(int error_number) {
    char text[128];
    return net_error(std::string(strerror_r(error_number, text, sizeof text)));
}

std::string seconds_text(std::int64_t duration_ms) {
    if (duration_ms % 1000 == 0) return std::to_string(duration_ms / 1000) + " s";
    return std::to_string(duration_ms) + " ms";
}

Canceller::Canceller() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd") {}

void Canceller::cancel() {
    is_cancelled_ = true;
    if (event_.is_open()) (void)::eventfd_write(event_.descriptor(), 1);  // nobody reads it: it stays awake
}

Result<bool> Canceller::wait(int descriptor, short events, std::int64_t deadline_ms) const {
    for (;;) {
        if (is_cancelled_) return interrupted();
        const std::int64_t rest_ms = std::clamp<std::int64_t>(deadline_ms - steady_clock_ms(), 0, INT_MAX);
        pollfd watched[] = {{descriptor, events, 0}, {event_.descriptor(), POLLIN, 0}};
        const int ready = ::poll(watched, 2, static_cast<int>(rest_ms));
        if (ready < 0 && errno != EINTR) return net_error(errno);
        if (is_cancelled_) return interrupted();
        if (ready > 0 && watched[0].revents != 0) return true;
        if (ready == 0) return false;
    }
}

Status NetStream::write(ByteView bytes, std::int64_t idle_limit_ms) {
    while (!bytes.empty()) {
        LITESTREAM_ASSIGN(const auto size, write_some(bytes, steady_clock_ms() + idle_limit_ms));
        if (!size) return net_error("the peer took nothing for " + seconds_text(idle_limit_ms));
        bytes = bytes.subspan(*size);
    }
    return {};
}

Result<std::unique_ptr<TcpStream>> TcpStream::connect(const std::vector<Endpoint>& endpoints,
                                                      std::int64_t deadline_ms, const Canceller& canceller) {
    Error last = net_error("the host has no address");
    for (std::size_t i = 0; i < endpoints.size(); i++) {
        // What time there is, is shared by the addresses that are left: a dead one does not eat it all.
        const std::int64_t now_ms = steady_clock_ms();
        const std::int64_t rest_ms = std::max<std::int64_t>(deadline_ms - now_ms, 0);
        const std::int64_t share_ms = rest_ms / static_cast<std::int64_t>(endpoints.size() - i);
        auto file = connect_one(endpoints[i], now_ms + share_ms, canceller);
        if (file) return std::make_unique<TcpStream>(*std::move(file), canceller);
        last = std::move(file).error();
        if (last.code == ErrorCode::kInterrupt) break;
    }
    return last;
}

Result<std::optional<std::size_t>> TcpStream::read(ByteSpan buffer, std::int64_t deadline_ms) {
    for (;;) {
        if (canceller_.is_cancelled()) return interrupted();
        const ssize_t n = ::recv(descriptor(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (n >= 0) return std::optional(static_cast<std::size_t>(n));
        if (errno == EINTR) continue;
        if (!would_block(errno)) return net_error(errno);
        LITESTREAM_ASSIGN(const bool is_ready, canceller_.wait(descriptor(), POLLIN, deadline_ms));
        if (!is_ready) return std::optional<std::size_t>();
    }
}

Result<std::optional<std::size_t>> TcpStream::write_some(ByteView bytes, std::int64_t deadline_ms) {
    for (;;) {
        if (canceller_.is_cancelled()) return interrupted();
        const ssize_t n = ::send(descriptor(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) return std::optional(static_cast<std::size_t>(n));
        if (errno == EINTR) continue;
        if (!would_block(errno)) return net_error(errno);
        LITESTREAM_ASSIGN(const bool is_ready, canceller_.wait(descriptor(), POLLOUT, deadline_ms));
        if (!is_ready) return std::optional<std::size_t>();
    }
}

}  // namespace litestream
