// AwsCredentials: the keys that requests to a store are signed with, from where the AWS tools look, in their
// order: the environment (LITESTREAM_* stand in for AWS_* that are not set), a web identity, the shared files
// with their profiles, the container's endpoint, the instance's metadata. The first that is set up decides;
// if it fails, that is the error, and nobody is asked behind its back.
//
// Keys that expire are renewed minutes before, and go on being used while that fails and they last. Nothing
// is stored or logged; no message shows a part of a key, token or answer.
//
// The environment is read once, when this is made. Thread-bound except cancel(). May block for some seconds.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "shared/base/clock.h"
#include "shared/net/aws_metadata.h"
#include "shared/net/aws_profile.h"
#include "shared/net/http_transport.h"
#include "shared/net/proxy.h"

namespace litestream {

class AwsCredentials {
  public:
    using Clock = std::function<std::int64_t()>;  // of the wall, in ms

    AwsCredentials(std::unique_ptr<HttpTransport> transport, const Environment& environment,
                   Clock clock = wall_clock_ms);

    // `refresh`: the store says that the last ones have expired; looks again, whatever their time is. kAuth:
    // there are none, which names the places that were looked at, or what is there is wrong.
    Result<AwsKeys> get(bool refresh = false);
    void cancel() { transport_->cancel(); }

  private:
    using Found = Result<std::optional<AwsLease>>;  // nullopt: not set up; `looked_at_` says more

    std::string variable(const char* name) const;
    Result<AwsLease> find();
    Found from_environment();
    Found from_web_identity();
    Found from_shared_files();
    Found from_container();
    Found from_instance();
    Result<std::string> sts_endpoint() const;
    Result<std::string> container_authorization() const;
    std::string shared_file(const char* variable_name, const char* name_in_home) const;
    void add_profile(AwsProfile& profile, AwsFile file, const std::string& path, const std::string& name);
    void note(const std::string& place) { looked_at_ += (looked_at_.empty() ? "" : ", ") + place; }

    const std::unique_ptr<HttpTransport> transport_;
    const Clock clock_;
    std::map<std::string, std::string> variables_;
    std::optional<AwsLease> lease_;
    std::int64_t renew_ms_ = 0;  // from when on better ones are looked for
    std::string looked_at_;
};

}  // namespace litestream
