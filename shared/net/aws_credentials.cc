#include "shared/net/aws_credentials.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "shared/base/file.h"
#include "shared/base/text.h"

namespace litestream {
namespace {

constexpr std::int64_t kRenewBeforeMs = std::int64_t{5} * 60 * 1000;
constexpr std::int64_t kRetryMs = 30'000;
constexpr std::size_t kMaxSharedFileSize = 1u << 20;
constexpr std::size_t kMaxTokenFileSize = 32u << 10;
constexpr std::size_t kMaxKeySize = 1024;
constexpr std::size_t kMaxSessionTokenSize = 32u << 10;

constexpr const char* kVariables[] = {"AWS_ACCESS_KEY_ID",
                                      "AWS_SECRET_ACCESS_KEY",
                                      "AWS_SESSION_TOKEN",
                                      "LITESTREAM_ACCESS_KEY_ID",
                                      "LITESTREAM_SECRET_ACCESS_KEY",
                                      "AWS_WEB_IDENTITY_TOKEN_FILE",
                                      "AWS_ROLE_ARN",
                                      "AWS_ROLE_SESSION_NAME",
                                      "AWS_REGION",
                                      "AWS_DEFAULT_REGION",
                                      "AWS_ENDPOINT_URL_STS",
                                      "AWS_PROFILE",
                                      "AWS_DEFAULT_PROFILE",
                                      "AWS_SHARED_CREDENTIALS_FILE",
                                      "AWS_CONFIG_FILE",
                                      "HOME",
                                      "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                      "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                      "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                                      "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                                      "AWS_EC2_METADATA_DISABLED",
                                      "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                                      "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"};

// What a profile may have that we cannot follow. A role goes before keys, as in the AWS tools; the others do
// not.
constexpr const char* kRole = "role_arn";
constexpr const char* kUnsupported[] = {"credential_process", "sso_session", "sso_start_url"};

Error auth_error(std::string message) { return {ErrorCode::kAuth, std::move(message)}; }

Status check_keys(const AwsKeys& keys) {
    const bool is_good = is_visible(keys.access_key_id, kMaxKeySize) &&
                         is_visible(keys.secret_access_key, kMaxKeySize) &&
                         is_visible(keys.session_token, kMaxSessionTokenSize);
    if (is_good) return {};
    return auth_error("a key or token there is too long, or holds a space or another invisible character");
}

// Through symbolic links, since Kubernetes hands tokens out by them.
Result<std::string> read_linked_file(const std::string& path, std::size_t limit_bytes) {
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
    if (!real) return system_error(errno, path, "open");
    LITESTREAM_ASSIGN(const File file, File::open(real.get(), O_RDONLY | O_NONBLOCK));
    LITESTREAM_ASSIGN(const struct stat status, file.status());
    if (!S_ISREG(status.st_mode) || static_cast<std::uint64_t>(status.st_size) > limit_bytes) {
        return bad_input(path + ": is no regular file of at most " + std::to_string(limit_bytes) + " bytes");
    }
    Bytes bytes(static_cast<std::size_t>(status.st_size));
    LITESTREAM_TRY(file.read_exactly_at(0, bytes));
    return std::string(as_text(bytes));
}

Result<std::string> read_token(const std::string& path, const char* variable) {
    auto token = read_linked_file(path, kMaxTokenFileSize);
    if (!token) return auth_error(std::string(variable) + ": " + token.error().message);
    constexpr std::string_view kBlank = " \t\r\n";
    token->erase(token->find_last_not_of(kBlank) + 1);
    if (token->empty()) return auth_error(std::string(variable) + ": " + path + " is empty");
    return token;
}

std::string setting(const AwsProfile& profile, const char* name) {
    const auto found = profile.find(name);
    return found == profile.end() ? std::string() : found->second;
}

Result<std::optional<AwsLease>> lease_of_profile(const AwsProfile& profile, const std::string& name) {
    const std::string shown = "profile \"" + name + "\"";
    const auto unsupported = [&](const char* how) {
        return auth_error(shown + " gets its keys by " + how +
                          ", which is not supported here; give keys in the environment or in another "
                          "profile (AWS_PROFILE)");
    };
    if (profile.contains(kRole)) return unsupported(kRole);
    const AwsKeys keys = {setting(profile, "aws_access_key_id"), setting(profile, "aws_secret_access_key"),
                          setting(profile, "aws_session_token")};
    if (keys.access_key_id.empty() != keys.secret_access_key.empty()) {
        return auth_error(shown + " has only one of aws_access_key_id and aws_secret_access_key");
    }
    if (!keys.access_key_id.empty()) return std::optional(AwsLease{keys, std::nullopt});
    for (const char* how : kUnsupported) {
        if (profile.contains(how)) return unsupported(how);
    }
    return std::optional<AwsLease>();
}

Result<std::optional<AwsLease>> from_service(Result<AwsLease> lease, const std::string& service) {
    if (!lease) return std::move(lease).error().context(service);
    if (auto status = check_keys(lease->keys); !status) return std::move(status).error().context(service);
    return std::optional(*std::move(lease));
}

}  // namespace

AwsCredentials::AwsCredentials(std::unique_ptr<HttpTransport> transport, const Environment& environment,
                               Clock clock)
    : transport_(std::move(transport)), clock_(std::move(clock)) {
    for (const char* name : kVariables) {
        const char* value = environment(name);
        if (value != nullptr && *value != '\0') variables_[name] = value;
    }
}

std::string AwsCredentials::variable(const char* name) const {
    const auto found = variables_.find(name);
    return found == variables_.end() ? std::string() : found->second;
}

Result<AwsKeys> AwsCredentials::get(bool refresh) {
    const std::int64_t now_ms = clock_();
    const bool lasts = lease_ && (!lease_->expires_ms || now_ms < *lease_->expires_ms);
    if (lasts && !refresh && (!lease_->expires_ms || now_ms < renew_ms_)) return lease_->keys;
    auto found = find();
    if (found) {
        lease_ = *std::move(found);
        const std::int64_t left_ms = std::max<std::int64_t>(lease_->expires_ms.value_or(now_ms) - now_ms, 0);
        renew_ms_ = now_ms + left_ms - std::min(kRenewBeforeMs, left_ms / 2);
        return lease_->keys;
    }
    if (refresh || !lasts || found.error().code == ErrorCode::kInterrupt) return std::move(found).error();
    renew_ms_ = now_ms + kRetryMs;
    return lease_->keys;
}

Result<AwsLease> AwsCredentials::find() {
    looked_at_.clear();
    for (const auto source : {&AwsCredentials::from_environment, &AwsCredentials::from_web_identity,
                              &AwsCredentials::from_shared_files, &AwsCredentials::from_container,
                              &AwsCredentials::from_instance}) {
        auto found = (this->*source)();
        if (!found) return std::move(found).error().context("credentials");
        if (*found) return **std::move(found);
    }
    return auth_error("no credentials: looked at " + looked_at_);
}

AwsCredentials::Found AwsCredentials::from_environment() {
    AwsKeys keys = {variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"),
                    variable("AWS_SESSION_TOKEN")};
    if (keys.access_key_id.empty()) {
        keys.access_key_id = variable("LITESTREAM_ACCESS_KEY_ID");
        keys.session_token.clear();  // of other keys
    }
    if (keys.secret_access_key.empty()) keys.secret_access_key = variable("LITESTREAM_SECRET_ACCESS_KEY");
    if (keys.access_key_id.empty() != keys.secret_access_key.empty()) {
        const std::string missing = keys.access_key_id.empty() ? "ACCESS_KEY_ID" : "SECRET_ACCESS_KEY";
        return auth_error("the environment has one key, but neither AWS_" + missing + " nor LITESTREAM_" +
                          missing);
    }
    if (!keys.access_key_id.empty()) return from_service(AwsLease{keys, std::nullopt}, "the environment");
    note("AWS_ACCESS_KEY_ID and LITESTREAM_ACCESS_KEY_ID (not set)");
    return std::optional<AwsLease>();
}

// The global endpoint where no region is named: it knows every role.
Result<std::string> AwsCredentials::sts_endpoint() const {
    std::string endpoint = variable("AWS_ENDPOINT_URL_STS");
    while (endpoint.ends_with('/')) endpoint.pop_back();
    if (!endpoint.empty()) {
        LITESTREAM_TRY(check_metadata_url(endpoint, "AWS_ENDPOINT_URL_STS"));
        return endpoint;
    }
    std::string region = variable("AWS_REGION");
    if (region.empty()) region = variable("AWS_DEFAULT_REGION");
    if (region.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos) {
        return auth_error("AWS_REGION is no name of a region, such as eu-central-1");
    }
    const std::string place = region.empty() || region == "auto" ? "" : region + ".";
    return "https://sts." + place + "amazonaws.com" + (region.starts_with("cn-") ? ".cn" : "");
}

AwsCredentials::Found AwsCredentials::from_web_identity() {
    const std::string token_file = variable("AWS_WEB_IDENTITY_TOKEN_FILE");
    if (token_file.empty()) {
        note("AWS_WEB_IDENTITY_TOKEN_FILE (not set)");
        return std::optional<AwsLease>();
    }
    WebIdentity identity;
    identity.role_arn = variable("AWS_ROLE_ARN");
    if (identity.role_arn.empty()) {
        return auth_error("AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
    }
    identity.session_name = variable("AWS_ROLE_SESSION_NAME");
    if (identity.session_name.empty()) identity.session_name = "liblitestream-" + std::to_string(clock_());
    LITESTREAM_ASSIGN(identity.endpoint, sts_endpoint());
    LITESTREAM_ASSIGN(identity.token, read_token(token_file, "AWS_WEB_IDENTITY_TOKEN_FILE"));
    return from_service(web_identity_keys(*transport_, identity), "STS, asked for a web identity");
}

std::string AwsCredentials::shared_file(const char* variable_name, const char* name_in_home) const {
    const std::string path = variable(variable_name);
    if (!path.empty()) return path;
    const std::string home = variable("HOME");
    return home.empty() ? "" : home + "/.aws/" + name_in_home;
}

// What another file of the two said already stays.
void AwsCredentials::add_profile(AwsProfile& profile, AwsFile file, const std::string& path,
                                 const std::string& name) {
    if (path.empty()) return;
    const auto text = read_linked_file(path, kMaxSharedFileSize);
    const bool is_missing = !text && text.error().code == ErrorCode::kNotFound;
    auto found = text ? parse_aws_profile(*text, file, name) : std::nullopt;
    if (found) profile.merge(*std::move(found));
    const char* what = is_missing ? "no such file" : !text ? "cannot be read" : "no keys for it there";
    note("profile \"" + name + "\" in " + path + " (" + what + ")");
}

AwsCredentials::Found AwsCredentials::from_shared_files() {
    std::string name = variable("AWS_PROFILE");
    if (name.empty()) name = variable("AWS_DEFAULT_PROFILE");
    const bool is_asked_for = !name.empty();
    if (!is_asked_for) name = "default";
    AwsProfile profile;
    add_profile(profile, AwsFile::kCredentials, shared_file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
                name);
    add_profile(profile, AwsFile::kConfig, shared_file("AWS_CONFIG_FILE", "config"), name);
    LITESTREAM_ASSIGN(auto lease, lease_of_profile(profile, name));
    if (lease) return from_service(*std::move(lease), "profile \"" + name + "\"");
    if (is_asked_for) return auth_error("AWS_PROFILE asks for what is not there: " + looked_at_);
    return lease;
}

Result<std::string> AwsCredentials::container_authorization() const {
    constexpr const char* kFile = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
    std::string token = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (!variable(kFile).empty()) {
        LITESTREAM_ASSIGN(token, read_token(variable(kFile), kFile));
    }
    const bool has_control =
        std::any_of(token.begin(), token.end(), [](char c) { return c < ' ' || c == 127; });
    if (has_control) return auth_error("the container's authorization token is not one line of ASCII");
    return token;
}

AwsCredentials::Found AwsCredentials::from_container() {
    constexpr const char* kRelative = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
    constexpr const char* kFull = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    std::string url = variable(kFull);
    const char* name = kFull;
    if (const std::string path = variable(kRelative); !path.empty()) {
        if (!path.starts_with('/')) return auth_error(std::string(kRelative) + " must begin with '/'");
        url = "http://169.254.170.2" + path;
        name = kRelative;
    }
    if (url.empty()) {
        note("the container's endpoint (" + std::string(kRelative) + " and " + kFull + " not set)");
        return std::optional<AwsLease>();
    }
    LITESTREAM_TRY(check_metadata_url(url, name));
    LITESTREAM_ASSIGN(const std::string authorization, container_authorization());
    return from_service(container_keys(*transport_, url, authorization),
                        std::string("the container's endpoint (") + name + ")");
}

AwsCredentials::Found AwsCredentials::from_instance() {
    if (to_lower(variable("AWS_EC2_METADATA_DISABLED")) == "true") {
        note("instance metadata (AWS_EC2_METADATA_DISABLED)");
        return std::optional<AwsLease>();
    }
    constexpr const char* kEndpoint = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    std::string endpoint = variable(kEndpoint);
    if (endpoint.empty()) {
        const bool is_v6 = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE") == "IPv6";
        endpoint = is_v6 ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
    }
    while (endpoint.ends_with('/')) endpoint.pop_back();
    LITESTREAM_TRY(check_metadata_url(endpoint, kEndpoint));
    auto lease = instance_keys(*transport_, endpoint);
    if (!lease && lease.error().code == ErrorCode::kNotFound) {
        note("instance metadata (" + lease.error().message + ")");
        return std::optional<AwsLease>();
    }
    return from_service(std::move(lease), "instance metadata");
}

}  // namespace litestream
