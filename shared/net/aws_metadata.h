// The services that hand out AWS keys for a while: STS for a web identity, a container's credential endpoint,
// and the instance metadata of a virtual machine (IMDSv2).
//
// Who is asked may come from the environment, and what is sent is worth stealing: check_metadata_url() holds
// every such URL to https, or to loopback and link-local addresses, redirects are refused, and no message
// shows what was sent or answered, nor a path, which may be a secret itself. An answer is at most 64 KiB.
//
// Reentrant; each call blocks for a few seconds at most. kAuth: refused; kIo: no usable answer; kNotFound: on
// this machine there is nothing of the kind.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shared/base/result.h"
#include "shared/net/http_transport.h"

namespace litestream {

struct AwsLease {
    AwsKeys keys;
    std::optional<std::int64_t> expires_ms;  // nullopt: never, as far as is known
};

// What may stand in a header of HTTP as one word: visible ASCII, at most so much of it.
bool is_visible(std::string_view text, std::size_t limit_bytes);

// kAuth names the variable that the URL is from.
Status check_metadata_url(const std::string& url, const std::string& variable);

struct WebIdentity {
    std::string endpoint;  // "https://sts.eu-west-1.amazonaws.com"
    std::string role_arn;
    std::string session_name;
    std::string token;
};
Result<AwsLease> web_identity_keys(HttpTransport& transport, const WebIdentity& identity);

// `authorization`: the value of that header; empty: none.
Result<AwsLease> container_keys(HttpTransport& transport, const std::string& url,
                                const std::string& authorization);

// `endpoint`: "http://169.254.169.254"
Result<AwsLease> instance_keys(HttpTransport& transport, const std::string& endpoint);

}  // namespace litestream
