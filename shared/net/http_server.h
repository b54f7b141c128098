// HttpServer: answers HTTP/1.1 on one address. It parses, bounds and times out; what to answer is the
// handler's. All of it runs on the I/O thread (shared/net/io_thread.h), which the handler must not block.
//
// Bounds: request header 8 KiB, no request body (413), 10 s for a whole request to arrive (408),
// kMaxConnections at once (503 and closed), 500 requests a second over all of them (429); a write that makes
// no progress for 30 s ends the connection. One request a connection unless the client keeps it alive with
// small answers; an idle one is closed after 60 s.
//
// Thread-safe where said; everything else is thread-bound to the I/O thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "shared/base/bytes.h"
#include "shared/base/result.h"
#include "shared/net/io_thread.h"

namespace litestream {

constexpr int kMaxConnections = 256;

// How long a client may take, and how many there may be.
struct HttpLimits {
    int max_connections = kMaxConnections;
    int max_requests_per_second = 500;  // of all connections; beyond it 429
    std::int64_t request_ms = 10'000;   // until a whole request has come
    std::int64_t idle_ms = 60'000;      // between two requests
    std::int64_t write_ms = 30'000;     // without a byte taken
    std::int64_t drain_ms = 2'000;      // for what the client still sends after the last answer
};

struct HttpRequest {
    std::string method;                                        // "GET"
    std::string path;                                          // decoded; "/stream"
    std::vector<std::pair<std::string, std::string>> query;    // decoded, in order
    std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
    std::string peer;                                          // "127.0.0.1:4711"

    // "" where there is none.
    const std::string& header(const std::string& lower_case_name) const;
    const std::string& query_value(const std::string& key) const;
};

struct HttpResponse {
    unsigned status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
};

// A connection whose answer goes on.
class HttpPeer {
  public:
    virtual ~HttpPeer() = default;
    // One at a time. `bytes` stay alive until `done` is called on the I/O thread: true: taken by the kernel;
    // false: the connection is gone and on_closed() follows. Chunked by the server where it was not upgraded.
    virtual void write(ByteView bytes, std::function<void(bool)> done) = 0;
    // Ends the body cleanly (the last chunk) and closes; on_closed() follows.
    virtual void finish() = 0;
    virtual void close() = 0;              // at once; on_closed() follows, not from within this call
    virtual std::string name() const = 0;  // as HttpRequest::peer
};

class HttpStream {
  public:
    virtual ~HttpStream() = default;
    virtual void start(HttpPeer& peer) = 0;  // status and headers are on their way
    // Upgraded connections only: what the client sends.
    virtual void on_data(ByteView bytes) = 0;
    // The last call, but for the destructor: the peer is gone.
    virtual void on_closed() = 0;
};

struct StreamReply {
    std::string upgrade;  // protocol of a 101; empty: 200 and chunked
    std::vector<std::pair<std::string, std::string>> headers;
    std::shared_ptr<HttpStream> stream;
};

using HttpReply = std::variant<HttpResponse, StreamReply>;
using HttpHandler = std::function<HttpReply(const HttpRequest&)>;

class HttpServer {
  public:
    // Listens. `address`: "HOST:PORT", "[V6]:PORT" or ":PORT"; a host name is looked up. Port 0 picks one.
    // kInput: the address makes no sense; kCantOpen: it is in use or not ours ("127.0.0.1:9090: Address
    // already in use").
    static Result<std::unique_ptr<HttpServer>> listen(IoThread& io, const std::string& address,
                                                      HttpHandler handler, const HttpLimits& limits = {});
    // Any thread but the I/O thread. Closes the listener and every connection, and returns once no handler
    // and no stream will be called any more.
    virtual ~HttpServer() = default;
    virtual std::string base_url() const = 0;  // "http://127.0.0.1:40123"
    virtual bool is_loopback() const = 0;
    virtual std::uint16_t port() const = 0;
};

// Whether HOST:PORT (as for listen()) is a loopback address; kInput as there.
Result<bool> is_loopback_address(const std::string& address);

}  // namespace litestream
