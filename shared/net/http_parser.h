// The two parsers of HTTP/1 headers and bodies, on bytes that somebody else read. Boost.Beast behind a small
// door: what it accepts is tightened here to what we answer. No I/O.
//
// Reentrant; a ResponseParser is thread-bound.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shared/base/bytes.h"
#include "shared/base/result.h"
#include "shared/net/http_server.h"

namespace litestream {

constexpr std::size_t kMaxRequestHeaderSize = 8 * 1024;
constexpr std::size_t kMaxResponseHeaderSize = 16 * 1024;

struct ParsedRequest {
    // Not 0: refused with this status, and `why` for the body of the answer; the rest means nothing then.
    unsigned refusal = 0;
    std::string why;

    HttpRequest request;  // all but the peer; "upgrade" only where it is asked for properly
    std::size_t size_bytes = 0;
    bool is_http_1_0 = false;
    bool wants_keep_alive = false;
};

// The request at the begin of `bytes`; nullopt: not whole yet.
std::optional<ParsedRequest> parse_request(ByteView bytes);

// Decodes "/path?key=value&..." or "http://host/path..."; kInput: an escape that is none, a NUL.
Status decode_target(std::string_view target, HttpRequest& request);

class ResponseParser {
  public:
    ResponseParser();
    ~ResponseParser();
    ResponseParser(const ResponseParser&) = delete;
    ResponseParser& operator=(const ResponseParser&) = delete;

    // How many bytes were taken; none: it needs more behind the same ones.
    Result<std::size_t> put_header(ByteView bytes);
    bool has_header() const;
    unsigned status() const;
    std::string header(const std::string& name) const;

    struct Step {
        std::size_t consumed = 0;  // of the bytes that came
        std::size_t produced = 0;  // of the body
    };
    Result<Step> put_body(ByteView bytes, ByteSpan out);
    Status put_end();      // nothing more will come: an error unless that ends the body
    bool is_done() const;  // the body is whole

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace litestream
