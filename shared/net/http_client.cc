#include "shared/net/http_client.h"

#include <strings.h>

#include <algorithm>

#include "shared/base/clock.h"
#include "shared/net/http_parser.h"
#include "shared/net/net_stream.h"
#include "shared/net/proxy.h"
#include "shared/net/resolver.h"
#include "shared/net/tls.h"

namespace litestream {
namespace {

constexpr std::size_t kRawSize = 64 * 1024;
static_assert(kRawSize > kMaxResponseHeaderSize);
constexpr int kMaxInterimAnswers = 8;  // 100 Continue and the like

bool is_host_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._~:[]").find(c) != std::string_view::npos;
}
bool is_line_char(char c) {
    return (c >= ' ' && c < 127) || c == '\t' || static_cast<unsigned char>(c) > 127;
}
bool is_name_char(char c) { return c > ' ' && c < 127 && c != ':'; }

template <typename Rule>
bool all_of(const std::string& text, Rule rule) {
    return std::all_of(text.begin(), text.end(), rule);
}

// What would not fit into a line of the request, or could begin another one.
Status check(const HttpGet& get) {
    if (get.url.scheme != "http" && get.url.scheme != "https") {
        return bad_input("\"" + get.url.scheme + "\" is no scheme for a connection; use http:// or https://");
    }
    if (get.url.host.empty()) return bad_input("the URL names no host; write http://HOST:PORT");
    if (!all_of(get.url.host, is_host_char)) return bad_input("the URL's host is no name and no address");
    if (!get.target.starts_with('/') || !all_of(get.target, [](char c) { return c > ' ' && c < 127; })) {
        return bad_input("the target must begin with '/' and be percent-encoded");
    }
    for (const auto& [name, value] : get.headers) {
        const bool is_good = !name.empty() && all_of(name, is_name_char) && all_of(value, is_line_char);
        if (!is_good) return bad_input("the header " + name.substr(0, 40) + " cannot be sent");
    }
    if (!all_of(get.upgrade, is_line_char)) return bad_input("the protocol's name cannot be sent");
    return {};
}

std::string default_port(const std::string& scheme) { return scheme == "https" ? "443" : "80"; }

// A buffer between socket and parser: what came and is not used yet.
class RawBuffer {
  public:
    ByteView view() const { return ByteView(bytes_).subspan(begin_, end_ - begin_); }
    bool is_full() const { return begin_ == 0 && end_ == bytes_.size(); }
    void consume(std::size_t size) { begin_ += size; }
    void clear() { begin_ = end_ = 0; }
    ByteSpan room() {
        std::copy(bytes_.begin() + static_cast<std::ptrdiff_t>(begin_),
                  bytes_.begin() + static_cast<std::ptrdiff_t>(end_), bytes_.begin());
        end_ -= begin_;
        begin_ = 0;
        return ByteSpan(bytes_).subspan(end_);
    }
    void add(std::size_t size) { end_ += size; }

  private:
    Bytes bytes_ = Bytes(kRawSize);
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace

struct HttpClient::Impl {
    Canceller canceller;
    HttpGet get;
    std::string where = "no connection";  // "http://primary:9090", in front of every message
    std::optional<Proxy> proxy;
    std::unique_ptr<NetStream> stream;
    std::unique_ptr<ResponseParser> parser;
    RawBuffer raw;
    bool is_upgraded = false;
    std::atomic<std::uint64_t> received_bytes = 0;

    void reset(const HttpGet& request);
    Error explain(Error error) const;
    std::string host_and_port() const;
    std::string request_text() const;
    std::string connect_text() const;
    Status open(std::int64_t deadline_ms);
    Result<std::unique_ptr<TcpStream>> open_tcp(std::int64_t deadline_ms);
    Status open_tunnel(NetStream& tcp, std::int64_t deadline_ms);
    Status read_header(NetStream& from, std::int64_t deadline_ms);
    Status read_one_header(NetStream& from, std::int64_t deadline_ms);
    bool speaks_upgrade() const;
    Result<std::optional<std::size_t>> read_upgraded(ByteSpan buffer, std::int64_t deadline_ms);
    Result<std::optional<std::size_t>> read_body(ByteSpan buffer, std::int64_t deadline_ms);
};

void HttpClient::Impl::reset(const HttpGet& request) {
    get = request;
    if (get.url.port.empty()) get.url.port = default_port(get.url.scheme);
    where = get.url.scheme + "://" + get.url.host + ":" + get.url.port;
    stream.reset();
    parser.reset();
    proxy.reset();
    raw.clear();
    is_upgraded = false;
    received_bytes = 0;
}

Error HttpClient::Impl::explain(Error error) const {
    if (error.code == ErrorCode::kInterrupt || error.code == ErrorCode::kInput) return error;
    error.message = "cannot connect to " + where +
                    (proxy ? " through the proxy " + proxy->to_string() : std::string()) + ": " +
                    error.message;
    return error;
}

std::string HttpClient::Impl::host_and_port() const {
    const bool is_default = get.url.port == default_port(get.url.scheme);
    return get.url.host + (is_default ? "" : ":" + get.url.port);
}

std::string HttpClient::Impl::request_text() const {
    const bool is_by_proxy = proxy && get.url.scheme == "http";
    std::string text =
        "GET " + (is_by_proxy ? "http://" + host_and_port() : "") + get.target + " HTTP/1.1\r\n";
    text += "Host: " + host_and_port() + "\r\nUser-Agent: liblitestream/" LITESTREAM_VERSION "\r\n";
    if (is_by_proxy && !proxy->authorization.empty()) {
        text += "Proxy-Authorization: " + proxy->authorization + "\r\n";
    }
    for (const auto& [name, value] : get.headers) text += name + ": " + value + "\r\n";
    text += get.upgrade.empty() ? "Connection: close\r\n"
                                : "Connection: Upgrade\r\nUpgrade: " + get.upgrade + "\r\n";
    return text + "\r\n";
}

std::string HttpClient::Impl::connect_text() const {
    const std::string host = get.url.host + ":" + get.url.port;
    std::string text = "CONNECT " + host + " HTTP/1.1\r\nHost: " + host + "\r\n";
    if (!proxy->authorization.empty()) text += "Proxy-Authorization: " + proxy->authorization + "\r\n";
    return text + "\r\n";
}

Result<std::unique_ptr<TcpStream>> HttpClient::Impl::open_tcp(std::int64_t deadline_ms) {
    if (!canceller.is_usable()) return net_error("the process has no descriptors left");
    if (canceller.is_cancelled()) return Error{ErrorCode::kInterrupt, "interrupted"};
    LITESTREAM_ASSIGN(proxy, proxy_for(get.url));
    const std::string& host = proxy ? proxy->host : get.url.host;
    const std::string& port = proxy ? proxy->port : get.url.port;
    LITESTREAM_ASSIGN(const auto endpoints, resolve(host, port, deadline_ms, canceller));
    return TcpStream::connect(endpoints, deadline_ms, canceller);
}

Status HttpClient::Impl::open_tunnel(NetStream& tcp, std::int64_t deadline_ms) {
    LITESTREAM_TRY(tcp.write(as_bytes(connect_text()), get.write_timeout_ms));
    LITESTREAM_TRY(read_header(tcp, deadline_ms));
    if (parser->status() / 100 != 2) {
        return net_error("the proxy answers with status " + std::to_string(parser->status()));
    }
    // TLS begins with our words: there is nothing that the other side may have said already.
    if (!raw.view().empty()) return net_error("the proxy sends what nobody asked for");
    return {};
}

Status HttpClient::Impl::open(std::int64_t deadline_ms) {
    LITESTREAM_ASSIGN(std::unique_ptr<TcpStream> tcp, open_tcp(deadline_ms));
    if (get.url.scheme == "http") {
        stream = std::move(tcp);
    } else {
        if (proxy) LITESTREAM_TRY(open_tunnel(*tcp, deadline_ms));
        LITESTREAM_ASSIGN(stream, start_tls(std::move(tcp), get.url.host, deadline_ms));
    }
    LITESTREAM_TRY(stream->write(as_bytes(request_text()), get.write_timeout_ms));
    return read_header(*stream, deadline_ms);
}

Status HttpClient::Impl::read_header(NetStream& from, std::int64_t deadline_ms) {
    for (int i = 0; i < kMaxInterimAnswers; i++) {
        LITESTREAM_TRY(read_one_header(from, deadline_ms));
        if (parser->status() / 100 != 1 || parser->status() == 101) return {};
    }
    return net_error("it sends one interim answer after the other");
}

Status HttpClient::Impl::read_one_header(NetStream& from, std::int64_t deadline_ms) {
    parser = std::make_unique<ResponseParser>();
    for (;;) {
        auto consumed = parser->put_header(raw.view());
        if (!consumed)
            return net_error("its answer is no HTTP that can be understood: " + consumed.error().message);
        raw.consume(*consumed);
        if (parser->has_header()) return {};
        if (raw.is_full()) return net_error("the header of its answer is too long");
        LITESTREAM_ASSIGN(const auto size, from.read(raw.room(), deadline_ms));
        if (!size) return net_error("no answer within " + seconds_text(get.connect_timeout_ms));
        if (*size == 0) return net_error("it closed the connection without an answer");
        raw.add(*size);
    }
}

bool HttpClient::Impl::speaks_upgrade() const {
    return !get.upgrade.empty() && parser->status() == 101 &&
           ::strcasecmp(parser->header("Upgrade").c_str(), get.upgrade.c_str()) == 0;
}

// What came behind the header, first.
Result<std::optional<std::size_t>> HttpClient::Impl::read_upgraded(ByteSpan buffer,
                                                                   std::int64_t deadline_ms) {
    if (canceller.is_cancelled()) return Error{ErrorCode::kInterrupt, "interrupted"};
    const ByteView early = raw.view();
    if (early.empty()) return stream->read(buffer, deadline_ms);
    const std::size_t size = std::min(early.size(), buffer.size());
    std::copy_n(early.begin(), size, buffer.begin());
    raw.consume(size);
    return std::optional(size);
}

Result<std::optional<std::size_t>> HttpClient::Impl::read_body(ByteSpan buffer, std::int64_t deadline_ms) {
    for (;;) {
        if (canceller.is_cancelled()) return Error{ErrorCode::kInterrupt, "interrupted"};
        LITESTREAM_ASSIGN(const ResponseParser::Step step, parser->put_body(raw.view(), buffer));
        raw.consume(step.consumed);
        if (step.produced > 0 || parser->is_done()) return std::optional(step.produced);
        if (raw.is_full()) return net_error("the answer's chunks cannot be understood");
        LITESTREAM_ASSIGN(const auto size, stream->read(raw.room(), deadline_ms));
        if (!size) return size;
        if (*size == 0) {
            LITESTREAM_TRY(parser->put_end());
            return std::optional<std::size_t>(0);
        }
        raw.add(*size);
    }
}

HttpClient::HttpClient() : impl_(std::make_unique<Impl>()) {}
HttpClient::~HttpClient() = default;

Status HttpClient::get(const HttpGet& request) {
    LITESTREAM_TRY(check(request));
    impl_->reset(request);
    const Status opened = impl_->open(steady_clock_ms() + request.connect_timeout_ms);
    if (!opened) {
        impl_->stream.reset();
        return impl_->explain(opened.error());
    }
    impl_->is_upgraded = impl_->speaks_upgrade();
    return {};
}

unsigned HttpClient::status() const { return impl_->stream ? impl_->parser->status() : 0; }

std::string HttpClient::header(const std::string& name) const {
    return impl_->stream ? impl_->parser->header(name) : "";
}

bool HttpClient::is_upgraded() const { return impl_->is_upgraded; }

Result<std::optional<std::size_t>> HttpClient::read_for(ByteSpan buffer, std::int64_t timeout_ms) {
    if (!impl_->stream) return net_error(impl_->where + ": there is no connection");
    if (buffer.empty()) return std::optional<std::size_t>(0);
    const std::int64_t deadline_ms = steady_clock_ms() + timeout_ms;
    auto size = impl_->is_upgraded ? impl_->read_upgraded(buffer, deadline_ms)
                                   : impl_->read_body(buffer, deadline_ms);
    if (!size) return std::move(size).error().context(impl_->where);
    impl_->received_bytes += size->value_or(0);
    return size;
}

Result<std::size_t> HttpClient::read(ByteSpan buffer) {
    const std::int64_t limit_ms = impl_->get.read_timeout_ms;
    LITESTREAM_ASSIGN(const auto size, read_for(buffer, limit_ms));
    if (size) return *size;
    return Error{ErrorCode::kBusy, impl_->where + ": nothing came for " + seconds_text(limit_ms)};
}

Status HttpClient::read_exactly(ByteSpan buffer) {
    while (!buffer.empty()) {
        LITESTREAM_ASSIGN(const std::size_t size, read(buffer));
        if (size == 0) return net_error(impl_->where + ": the connection ended early");
        buffer = buffer.subspan(size);
    }
    return {};
}

Status HttpClient::write(ByteView bytes) {
    if (!impl_->is_upgraded)
        return bad_input(impl_->where + ": only an upgraded connection can be written to");
    Status written = impl_->stream->write(bytes, impl_->get.write_timeout_ms);
    if (!written) return std::move(written).error().context(impl_->where);
    return {};
}

void HttpClient::cancel() { impl_->canceller.cancel(); }
std::uint64_t HttpClient::received_bytes() const { return impl_->received_bytes; }

}  // namespace litestream
