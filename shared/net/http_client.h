// HttpClient: one GET whose answer may go on for ever, or be upgraded to a conversation. Blocking, with a
// time limit for every step, on the caller's thread; cancel() ends it from any other.
//
// http and https (OpenSSL, the system's trust store, host name checked, TLS 1.2 or newer), proxy from the
// environment (http_proxy, https_proxy, all_proxy, no_proxy; CONNECT for https), no redirects. Bounds: header
// of the answer 16 KiB.
//
// Thread-bound except cancel().
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shared/base/stream.h"
#include "shared/base/url.h"

namespace litestream {

struct HttpGet {
    Url url;             // scheme, host, port
    std::string target;  // "/stream?path=%2Fdata%2Fapp.db"
    std::vector<std::pair<std::string, std::string>> headers;
    std::string upgrade;                       // protocol to ask for; empty: none
    std::int64_t connect_timeout_ms = 10'000;  // for all up to the header of the answer
    std::int64_t read_timeout_ms = 45'000;     // without a byte: the peer is dead
    std::int64_t write_timeout_ms = 30'000;
};

class HttpClient final : public Source {
  public:
    HttpClient();
    ~HttpClient() override;
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    // Connects, sends, and reads the header of the answer, whatever its status is. Errors name the host:
    // "cannot connect to http://primary:9090: Connection refused"; kInput for what retrying does not heal
    // (wrong scheme, no host), kInterrupt once cancelled, kIo else.
    Status get(const HttpGet& request);
    unsigned status() const;
    std::string header(const std::string& name) const;  // "" where there is none; any case
    bool is_upgraded() const;                           // 101 with the protocol that was asked for

    // The body, unchunked, or what the peer sends once upgraded. 0: its clean end. kIo: "the connection ended
    // early" and the like. No bytes for read_timeout_ms: kBusy, "nothing came for 45 s".
    Result<std::size_t> read(ByteSpan buffer) override;
    Status read_exactly(ByteSpan buffer);
    // As read() with a time limit of its own; nullopt: nothing came, and nothing is wrong.
    Result<std::optional<std::size_t>> read_for(ByteSpan buffer, std::int64_t timeout_ms);
    // Upgraded only.
    Status write(ByteView bytes);

    // Any thread, any time: a step that waits returns kInterrupt, as do all later ones.
    void cancel();
    std::uint64_t received_bytes() const;  // of the body, so far

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// `text` with everything but unreserved characters percent-encoded: a value in a query.
std::string encode_query_value(const std::string& text);

}  // namespace litestream
