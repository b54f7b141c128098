// HttpTransport: one HTTP request and its answer at a time, blocking, on the caller's thread: what object
// stores and credential endpoints are asked with. CurlTransport (curl_transport.h) is the real one; tests
// script their own.
//
// Redirects are answers like any other: never followed. Memory: what the caller keeps; bodies stream.
//
// Thread-bound except cancel().
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shared/base/bytes.h"
#include "shared/base/stream.h"

namespace litestream {

// AWS Signature Version 4. Never shown, never logged.
struct AwsKeys {
    std::string access_key_id;
    std::string secret_access_key;
    std::string session_token;  // empty: none
};

struct AwsSigning {
    AwsKeys keys;
    std::string region;
    std::string service;  // "s3", "sts"
};

struct HttpRequestSpec {
    std::string method = "GET";  // GET, HEAD, PUT, POST, DELETE
    std::string url;             // absolute; path percent-encoded, query sorted and encoded by the caller
    std::vector<std::pair<std::string, std::string>> headers;
    ByteView body;                      // of PUT and POST; stays the caller's until send() returns
    std::optional<AwsSigning> signing;  // the caller gives x-amz-content-sha256 among the headers
    std::int64_t connect_timeout_ms = 10'000;
    std::int64_t silence_timeout_ms = 30'000;  // without a byte in either direction
    std::size_t min_progress = 1;              // as good as silence: fewer bytes than that in this time
    std::int64_t total_timeout_ms = 0;         // 0: no limit
};

struct HttpAnswer {
    unsigned status = 0;
    std::map<std::string, std::string> headers;  // names in lower case; of one name the last
    std::string body;                            // bounded; of a request without `on_body`, or of an error
    std::string header(const std::string& name) const {
        const auto found = headers.find(name);
        return found == headers.end() ? std::string() : found->second;
    }
};

class HttpTransport {
  public:
    // Past this a kept body is an error: "the answer is larger than 8 MiB".
    static constexpr std::size_t kMaxKeptBody = 8u << 20;

    virtual ~HttpTransport() = default;

    // Any status is an answer. `on_body`: gets the body of a 2xx answer piece by piece instead of its being
    // kept; an error of its ends the request and is returned. kIo: no (whole) answer, for a reason that
    // trying again may heal (refused, reset, cut in the middle, time-out), naming the host and never a
    // secret; kInput: the URL is none or its scheme is unknown; kInterrupt: cancelled.
    virtual Result<HttpAnswer> send(const HttpRequestSpec& request, const Sink& on_body = nullptr) = 0;
    // Any thread, any time: the request at hand and all later ones end with kInterrupt.
    virtual void cancel() = 0;
};

}  // namespace litestream
