#include "shared/net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace litestream {
namespace {

struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL* session) const { SSL_free(session); }
    void operator()(BIO_METHOD* method) const { BIO_meth_free(method); }
};

int clamp_size(std::size_t size) { return static_cast<int>(std::min<std::size_t>(size, INT_MAX)); }

// --- A BIO over a socket that never raises SIGPIPE, which OpenSSL's own would do to the host.

int bio_descriptor(BIO* bio) { return static_cast<TcpStream*>(BIO_get_data(bio))->descriptor(); }

int bio_result(BIO* bio, ssize_t n, int retry_flag) {
    BIO_clear_retry_flags(bio);
    if (n >= 0) return static_cast<int>(n);
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
        BIO_set_flags(bio, retry_flag | BIO_FLAGS_SHOULD_RETRY);
    }
    return -1;
}

int bio_read(BIO* bio, char* out, int size) {
    const ssize_t n = ::recv(bio_descriptor(bio), out, static_cast<std::size_t>(size), MSG_DONTWAIT);
    if (n == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return bio_result(bio, n, BIO_FLAGS_READ);
}

int bio_write(BIO* bio, const char* data, int size) {
    const ssize_t n =
        ::send(bio_descriptor(bio), data, static_cast<std::size_t>(size), MSG_DONTWAIT | MSG_NOSIGNAL);
    return bio_result(bio, n, BIO_FLAGS_WRITE);
}

long bio_control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* make_bio_method() {
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "litestream socket");
    if (method == nullptr) return nullptr;
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
    return method;
}

BIO* make_bio(TcpStream& tcp) {
    static BIO_METHOD* const kMethod = make_bio_method();
    BIO* bio = kMethod == nullptr ? nullptr : BIO_new(kMethod);
    if (bio == nullptr) return nullptr;
    BIO_set_data(bio, &tcp);
    BIO_set_init(bio, 1);
    return bio;
}

// --- Errors

std::string openssl_reason() {
    const unsigned long code = ERR_peek_last_error();
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return reason == nullptr ? "unknown reason" : reason;
}

Error tls_error(SSL* session) {
    const long verdict = SSL_get_verify_result(session);
    if (verdict != X509_V_OK) {
        return net_error(std::string("its certificate is not trusted: ") +
                         X509_verify_cert_error_string(verdict));
    }
    if (ERR_peek_last_error() == 0) return net_error("the connection ended early");
    return net_error("TLS: " + openssl_reason());
}

// --- Setting up

// Where other families of systems than the one this was linked on keep their bundle.
void add_known_bundles(SSL_CTX* context) {
    for (const char* path : {"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"}) {
        if (::access(path, R_OK) == 0) (void)SSL_CTX_load_verify_locations(context, path, nullptr);
    }
    ERR_clear_error();
}

Result<std::unique_ptr<SSL_CTX, Free>> make_context() {
    // No clean-up at exit: the host may end while our threads still talk.
    OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, nullptr);
    ERR_clear_error();
    std::unique_ptr<SSL_CTX, Free> context(SSL_CTX_new(TLS_client_method()));
    if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_default_verify_paths(context.get()) != 1) {
        return net_error("TLS cannot be set up: " + openssl_reason());
    }
    if (::secure_getenv("SSL_CERT_FILE") == nullptr) add_known_bundles(context.get());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    return context;
}

// An address is looked for among the certificate's addresses, and is never named in the hello.
bool expect_host(SSL* session, const std::string& host) {
    if (look_up(host, "0", Lookup::kNumericOnly)) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host.c_str()) == 1;
    }
    SSL_set_hostflags(session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(session, host.c_str()) == 1 && SSL_set_tlsext_host_name(session, host.c_str()) == 1;
}

class TlsStream final : public NetStream {
  public:
    explicit TlsStream(std::unique_ptr<TcpStream> tcp) : tcp_(std::move(tcp)) {}

    Status start(SSL_CTX* context, const std::string& host, std::int64_t deadline_ms);
    Result<std::optional<std::size_t>> read(ByteSpan buffer, std::int64_t deadline_ms) override;
    Result<std::optional<std::size_t>> write_some(ByteView bytes, std::int64_t deadline_ms) override;

  private:
    // Repeats `call` until it is through, whatever that makes the connection wait for.
    template <typename Call>
    Result<std::optional<std::size_t>> run(std::int64_t deadline_ms, Call call);

    const std::unique_ptr<TcpStream> tcp_;
    std::unique_ptr<SSL, Free> session_;
};

template <typename Call>
Result<std::optional<std::size_t>> TlsStream::run(std::int64_t deadline_ms, Call call) {
    for (;;) {
        if (tcp_->canceller().is_cancelled()) return Error{ErrorCode::kInterrupt, "interrupted"};
        ERR_clear_error();
        const int n = call();
        if (n > 0) return std::optional(static_cast<std::size_t>(n));
        const int reason = SSL_get_error(session_.get(), n);
        if (reason == SSL_ERROR_ZERO_RETURN) return std::optional<std::size_t>(0);
        if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE) return tls_error(session_.get());
        const short events = reason == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        LITESTREAM_ASSIGN(const bool is_ready,
                          tcp_->canceller().wait(tcp_->descriptor(), events, deadline_ms));
        if (!is_ready) return std::optional<std::size_t>();
    }
}

Status TlsStream::start(SSL_CTX* context, const std::string& host, std::int64_t deadline_ms) {
    session_.reset(SSL_new(context));
    BIO* bio = session_ ? make_bio(*tcp_) : nullptr;
    if (bio == nullptr) return net_error("TLS cannot be set up: " + openssl_reason());
    SSL_set_bio(session_.get(), bio, bio);
    if (!expect_host(session_.get(), host)) return bad_input("the host is no name that TLS can check");
    LITESTREAM_ASSIGN(const auto shaken, run(deadline_ms, [this] { return SSL_connect(session_.get()); }));
    if (!shaken) return net_error("no answer in time");
    if (*shaken == 0) return net_error("the connection ended early");
    return {};
}

Result<std::optional<std::size_t>> TlsStream::read(ByteSpan buffer, std::int64_t deadline_ms) {
    return run(deadline_ms,
               [&] { return SSL_read(session_.get(), buffer.data(), clamp_size(buffer.size())); });
}

Result<std::optional<std::size_t>> TlsStream::write_some(ByteView bytes, std::int64_t deadline_ms) {
    LITESTREAM_ASSIGN(const auto size, run(deadline_ms, [&] {
                          return SSL_write(session_.get(), bytes.data(), clamp_size(bytes.size()));
                      }));
    if (size && *size == 0) return net_error("the peer has closed the connection");
    return size;
}

}  // namespace

Result<std::unique_ptr<NetStream>> start_tls(std::unique_ptr<TcpStream> tcp, const std::string& host,
                                             std::int64_t deadline_ms) {
    LITESTREAM_ASSIGN(const auto context, make_context());
    const bool has_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    auto stream = std::make_unique<TlsStream>(std::move(tcp));
    LITESTREAM_TRY(
        stream->start(context.get(), has_brackets ? host.substr(1, host.size() - 2) : host, deadline_ms));
    return std::unique_ptr<NetStream>(std::move(stream));
}

}  // namespace litestream
