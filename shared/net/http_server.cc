#include "shared/net/http_server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <exception>
#include <map>

#include "shared/base/clock.h"
#include "shared/base/file.h"
#include "shared/base/log.h"
#include "shared/net/address.h"
#include "shared/net/http_connection.h"

namespace litestream {
namespace {

namespace asio = boost::asio;
using Code = boost::system::error_code;

constexpr int kBacklog = 128;
constexpr int kAcceptsAtOnce = 16;
constexpr std::int64_t kRetryMs = 100;  // while the process has no descriptor left

// The listener of the latest server, -1 for none: a forked child closes it, or it would hold the port for as
// long as it lives. Forgotten before it is closed, so that no other file of that number is ever hit.
std::atomic<int> g_listener = -1;

void close_in_children() {
    static const int once = ::pthread_atfork(nullptr, nullptr, [] {
        if (const int descriptor = g_listener.exchange(-1); descriptor >= 0) ::close(descriptor);
    });
    (void)once;
}

void set_option(int descriptor, int level, int name, int value) {
    (void)::setsockopt(descriptor, level, name, &value, sizeof value);
}

class Core final : public HttpCore, public std::enable_shared_from_this<Core> {
  public:
    Core(IoThread& io, HttpHandler handler, const HttpLimits& limits)
        : io_(io),
          listener_(io.context()),
          retry_(io, [this] { wait(); }),
          handler_(std::move(handler)),
          limits_(limits) {}

    bool open(File file);
    void shut();
    void wait();

    HttpReply answer(const HttpRequest& request) override;
    const HttpLimits& limits() const override { return limits_; }
    void forget(const HttpConnection& connection) override { connections_.erase(&connection); }

  private:
    void accept_ready();
    bool accept_one();  // false: no more for now
    void welcome(int descriptor, const std::string& peer);
    bool is_too_fast();

    IoThread& io_;
    asio::posix::stream_descriptor listener_;
    IoThread::Timer retry_;
    HttpHandler handler_;
    const HttpLimits limits_;
    std::map<const HttpConnection*, std::shared_ptr<HttpConnection>> connections_;
    std::int64_t second_ = 0;  // that the requests are counted in
    int requests_ = 0;
};

bool Core::open(File file) {
    const int descriptor = ::fcntl(file.descriptor(), F_DUPFD_CLOEXEC, 0);
    Code error;
    if (descriptor >= 0) listener_.assign(descriptor, error);
    if (descriptor < 0 || error) return false;
    close_in_children();
    g_listener = descriptor;
    wait();
    return true;
}

// Called once, on the I/O thread. What is queued for a connection finds it closed.
void Core::shut() {
    Code ignored;
    int own = listener_.native_handle();
    g_listener.compare_exchange_strong(own, -1);
    listener_.close(ignored);
    retry_.stop();
    const auto connections = std::exchange(connections_, {});
    for (const auto& [key, connection] : connections) connection->terminate();
    handler_ = nullptr;
}

void Core::wait() {
    listener_.async_wait(asio::posix::stream_descriptor::wait_read,
                         [self = shared_from_this()](const Code& error) {
                             if (!error && self->listener_.is_open()) self->accept_ready();
                         });
}

void Core::accept_ready() {
    for (int i = 0; i < kAcceptsAtOnce && accept_one(); i++) continue;
    const bool is_exhausted = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
    is_exhausted ? retry_.start(kRetryMs) : wait();
}

bool Core::accept_one() {
    Endpoint from;
    from.size_bytes = sizeof from.address;
    errno = 0;
    const int descriptor = ::accept4(listener_.native_handle(), reinterpret_cast<sockaddr*>(&from.address),
                                     &from.size_bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) return errno == EINTR || errno == ECONNABORTED;
    welcome(descriptor, from.to_string());
    errno = 0;
    return true;
}

// Closing over unread bytes would reset the connection: what the client has sent by now is taken first.
void turn_away(int descriptor) {
    char dropped[4096];
    (void)::recv(descriptor, dropped, sizeof dropped, MSG_DONTWAIT);
    const HttpResponse full = error_response(503, "there are too many connections; try again later");
    const std::string text = whole_response(full, false, false);
    (void)::send(descriptor, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    ::shutdown(descriptor, SHUT_WR);
    ::close(descriptor);
}

void Core::welcome(int descriptor, const std::string& peer) {
    if (connections_.size() >= static_cast<std::size_t>(limits_.max_connections))
        return turn_away(descriptor);
    set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
    const auto connection = make_http_connection(io_, descriptor, peer, shared_from_this());
    if (!connection) return;
    connections_.emplace(connection.get(), connection);
    connection->start();
}

// Some answers cost a look at every database: a client that asks without a pause must not keep this thread.
bool Core::is_too_fast() {
    const std::int64_t second = steady_clock_ms() / 1000;
    if (std::exchange(second_, second) != second) requests_ = 0;
    return ++requests_ > limits_.max_requests_per_second;
}

HttpReply Core::answer(const HttpRequest& request) {
    if (is_too_fast()) return error_response(429, "there are too many requests; try again in a second");
    try {
        return handler_(request);
    } catch (const std::exception& failure) {
        log_line(std::string("litestream: http: ") + failure.what());
    } catch (...) {
        log_line("litestream: http: unknown failure");
    }
    return error_response(500, "the server failed at this request");
}

class Server final : public HttpServer {
  public:
    Server(IoThread& io, std::shared_ptr<Core> core, const Endpoint& local)
        : io_(io), core_(std::move(core)), local_(local) {}
    ~Server() override {
        io_.run([this] {
            core_->shut();
            core_.reset();
        });
    }
    std::string base_url() const override { return "http://" + local_.to_string(); }
    bool is_loopback() const override { return local_.is_loopback(); }
    std::uint16_t port() const override { return local_.port(); }

  private:
    IoThread& io_;
    std::shared_ptr<Core> core_;
    const Endpoint local_;
};

Result<File> listen_at(const Endpoint& endpoint, const std::string& address) {
    File file(::socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), address);
    if (!file.is_open()) return Error{ErrorCode::kCantOpen, system_error(errno, address, "listen").message};
    set_option(file.descriptor(), SOL_SOCKET, SO_REUSEADDR, 1);
    // "::" stands for both families.
    if (endpoint.address.ss_family == AF_INET6) set_option(file.descriptor(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
    const auto* name = reinterpret_cast<const sockaddr*>(&endpoint.address);
    if (::bind(file.descriptor(), name, endpoint.size_bytes) != 0 ||
        ::listen(file.descriptor(), kBacklog) != 0) {
        return Error{ErrorCode::kCantOpen, system_error(errno, address, "listen").message};
    }
    return file;
}

Result<File> listen_at_first(const std::string& address) {
    LITESTREAM_ASSIGN(const std::vector<Endpoint> endpoints, listen_endpoints(address));
    Result<File> file = listen_at(endpoints.front(), address);
    for (std::size_t i = 1; i < endpoints.size() && !file; i++) {
        Result<File> next = listen_at(endpoints[i], address);
        if (next) file = std::move(next);
    }
    return file;
}

Result<Endpoint> local_endpoint(const File& file) {
    Endpoint local;
    local.size_bytes = sizeof local.address;
    if (::getsockname(file.descriptor(), reinterpret_cast<sockaddr*>(&local.address), &local.size_bytes) !=
        0) {
        return system_error(errno, file.path(), "listen");
    }
    return local;
}

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::listen(IoThread& io, const std::string& address,
                                                       HttpHandler handler, const HttpLimits& limits) {
    LITESTREAM_ASSIGN(File file, listen_at_first(address));
    LITESTREAM_ASSIGN(const Endpoint local, local_endpoint(file));
    std::shared_ptr<Core> core;
    bool is_open = false;
    io.run([&] {
        core = std::make_shared<Core>(io, std::move(handler), limits);
        is_open = core->open(std::move(file));
        if (!is_open) core.reset();
    });
    if (!is_open) return Error{ErrorCode::kCantOpen, address + ": cannot listen: no descriptors are left"};
    return std::unique_ptr<HttpServer>(std::make_unique<Server>(io, std::move(core), local));
}

}  // namespace litestream
