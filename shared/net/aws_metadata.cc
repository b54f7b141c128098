#include "shared/net/aws_metadata.h"

#include <algorithm>
#include <boost/json.hpp>
#include <pugixml.hpp>

#include "shared/base/clock.h"
#include "shared/base/json.h"
#include "shared/base/text.h"
#include "shared/base/url.h"
#include "shared/net/address.h"

namespace litestream {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxAnswerSize = 64u << 10;
constexpr std::size_t kMaxCodeSize = 64;
constexpr std::size_t kMaxRoleSize = 128;
constexpr std::size_t kMaxTokenSize = 1024;
constexpr const char* kTokenLifeSeconds = "300";  // it is used at once, and only then

// --- Asking ---

// Services of this machine, or of the one below it: they answer at once or are not there.
HttpRequestSpec near_request(const char* method, const std::string& url) {
    HttpRequestSpec request;
    request.method = method;
    request.url = url;
    request.connect_timeout_ms = 1000;
    request.silence_timeout_ms = 2000;
    request.total_timeout_ms = 3000;
    return request;
}

struct Reply {
    unsigned status = 0;
    std::string body;  // of any status
};

Result<Reply> ask(HttpTransport& transport, const HttpRequestSpec& request) {
    Reply reply;
    const Sink keep = [&reply](ByteView bytes) -> Status {
        if (reply.body.size() + bytes.size() > kMaxAnswerSize) {
            return Error{ErrorCode::kIo, "the answer is larger than 64 KiB"};
        }
        reply.body += as_text(bytes);
        return {};
    };
    LITESTREAM_ASSIGN(const HttpAnswer answer, transport.send(request, keep));
    reply.status = answer.status;
    if (answer.status / 100 != 2) reply.body = answer.body.substr(0, kMaxAnswerSize);
    return reply;
}

bool is_refusal(unsigned status) { return status >= 400 && status < 500 && status != 408 && status != 429; }

Error status_error(unsigned status, const std::string& code = "") {
    std::string message = "it answered " + std::to_string(status);
    if (!code.empty()) message += " " + code;
    if (status / 100 == 3) message += "; redirects are refused";
    return {is_refusal(status) ? ErrorCode::kAuth : ErrorCode::kIo, message};
}

Result<std::string> ask_for_text(HttpTransport& transport, const HttpRequestSpec& request) {
    LITESTREAM_ASSIGN(Reply reply, ask(transport, request));
    if (reply.status != 200) return status_error(reply.status);
    return std::move(reply.body);
}

Error malformed(const char* what) { return {ErrorCode::kIo, std::string("its answer has no valid ") + what}; }

Status set_expiry(AwsLease& lease, const std::string& time) {
    if (time.empty()) return {};
    const auto expires_ms = parse_time(time);
    if (!expires_ms) return malformed("Expiration");
    lease.expires_ms = *expires_ms;
    return {};
}

// --- JSON, of containers and instances ---

Result<AwsLease> lease_of_json(const std::string& text) {
    json::object object;
    if (!parse_json_object(text, "it", object)) return malformed("JSON");
    const std::string code = json_text(object, "Code");
    if (!code.empty() && code != "Success") return Error{ErrorCode::kAuth, "its answer is no Success"};
    AwsLease lease;
    lease.keys = {json_text(object, "AccessKeyId"), json_text(object, "SecretAccessKey"),
                  json_text(object, "Token")};
    if (lease.keys.access_key_id.empty()) return malformed("AccessKeyId");
    if (lease.keys.secret_access_key.empty()) return malformed("SecretAccessKey");
    LITESTREAM_TRY(set_expiry(lease, json_text(object, "Expiration")));
    return lease;
}

// --- XML, of STS ---

Result<AwsLease> lease_of_xml(const std::string& text) {
    pugi::xml_document document;
    if (!document.load_buffer(text.data(), text.size())) return malformed("XML");
    const pugi::xml_node found = document.child("AssumeRoleWithWebIdentityResponse")
                                     .child("AssumeRoleWithWebIdentityResult")
                                     .child("Credentials");
    AwsLease lease;
    lease.keys = {found.child_value("AccessKeyId"), found.child_value("SecretAccessKey"),
                  found.child_value("SessionToken")};
    if (lease.keys.access_key_id.empty()) return malformed("AccessKeyId");
    if (lease.keys.secret_access_key.empty()) return malformed("SecretAccessKey");
    LITESTREAM_TRY(set_expiry(lease, found.child_value("Expiration")));
    return lease;
}

// "ExpiredTokenException". Letters only, so that nothing of what was sent comes back in it.
std::string code_of_xml(const std::string& text) {
    pugi::xml_document document;
    if (!document.load_buffer(text.data(), text.size())) return "";
    const std::string code = document.child("ErrorResponse").child("Error").child_value("Code");
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    const bool is_good = code.size() <= kMaxCodeSize && std::all_of(code.begin(), code.end(), is_letter);
    return is_good ? code : "";
}

// --- The instance's two steps ---

// Who is at that address but knows no such token, another cloud's service for one, is none of ours.
Result<std::string> instance_token(HttpTransport& transport, const std::string& endpoint) {
    HttpRequestSpec request = near_request("PUT", endpoint + "/latest/api/token");
    request.headers = {{"X-aws-ec2-metadata-token-ttl-seconds", kTokenLifeSeconds}};
    auto token = ask_for_text(transport, request);
    if (token && is_visible(*token, kMaxTokenSize)) return token;
    if (token) return Error{ErrorCode::kNotFound, malformed("token").message};
    const bool is_cancelled = token.error().code == ErrorCode::kInterrupt;
    return is_cancelled ? token.error() : Error{ErrorCode::kNotFound, token.error().message};
}

Result<std::string> instance_role(HttpTransport& transport, HttpRequestSpec request) {
    LITESTREAM_ASSIGN(const Reply reply, ask(transport, request));
    if (reply.status == 404) return Error{ErrorCode::kNotFound, "the instance has no role"};
    if (reply.status != 200) return status_error(reply.status);
    std::string role = reply.body.substr(0, reply.body.find('\n'));
    if (role.ends_with('\r')) role.pop_back();
    if (role.empty() || role.size() > kMaxRoleSize) return malformed("name of a role");
    return role;
}

}  // namespace

bool is_visible(std::string_view text, std::size_t limit_bytes) {
    return text.size() <= limit_bytes &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 127; });
}

Status check_metadata_url(const std::string& url, const std::string& variable) {
    const auto parsed = Url::parse(url);
    if (!parsed || parsed->host.empty()) return Error{ErrorCode::kAuth, variable + " is no URL"};
    if (parsed->scheme == "https" || (parsed->scheme == "http" && is_near_host(parsed->host))) return {};
    return Error{ErrorCode::kAuth, variable + " must be https, or http to a loopback or link-local address"};
}

Result<AwsLease> web_identity_keys(HttpTransport& transport, const WebIdentity& identity) {
    const std::string form = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=" +
                             percent_encode(identity.role_arn, "") +
                             "&RoleSessionName=" + percent_encode(identity.session_name, "") +
                             "&WebIdentityToken=" + percent_encode(identity.token, "");
    HttpRequestSpec request;
    request.method = "POST";
    request.url = identity.endpoint + "/";
    request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
    request.body = as_bytes(form);
    request.total_timeout_ms = 20'000;
    LITESTREAM_ASSIGN(const Reply reply, ask(transport, request));
    if (reply.status != 200) return status_error(reply.status, code_of_xml(reply.body));
    return lease_of_xml(reply.body);
}

Result<AwsLease> container_keys(HttpTransport& transport, const std::string& url,
                                const std::string& authorization) {
    HttpRequestSpec request = near_request("GET", url);
    if (!authorization.empty()) request.headers = {{"Authorization", authorization}};
    LITESTREAM_ASSIGN(const std::string text, ask_for_text(transport, request));
    return lease_of_json(text);
}

Result<AwsLease> instance_keys(HttpTransport& transport, const std::string& endpoint) {
    LITESTREAM_ASSIGN(const std::string token, instance_token(transport, endpoint));
    HttpRequestSpec request = near_request("GET", endpoint + "/latest/meta-data/iam/security-credentials/");
    request.headers = {{"X-aws-ec2-metadata-token", token}};
    LITESTREAM_ASSIGN(const std::string role, instance_role(transport, request));
    request.url += percent_encode(role, "");
    LITESTREAM_ASSIGN(const std::string text, ask_for_text(transport, request));
    return lease_of_json(text);
}

}  // namespace litestream
