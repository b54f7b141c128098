#include "shared/replica/s3_open.h"

#include <cstdlib>
#include <mutex>

#include "shared/net/aws_credentials.h"
#include "shared/net/curl_transport.h"
#include "shared/replica/s3_replica_client.h"

namespace litestream {
namespace {

// The keys of a client and its duplicates. Thread-safe.
class SharedKeys {
  public:
    // A transport of their own: what the store's certificate is excused from does not hold for theirs.
    explicit SharedKeys(const Environment& environment)
        : credentials_(std::make_unique<CurlTransport>(), environment) {}

    Result<AwsKeys> get(bool refresh) {
        const std::lock_guard lock(mutex_);
        return credentials_.get(refresh);
    }
    void cancel() { credentials_.cancel(); }

  private:
    std::mutex mutex_;
    AwsCredentials credentials_;
};

// To the store. Who cancels a request does not know whether the client is still asking for keys.
class StoreTransport final : public HttpTransport {
  public:
    StoreTransport(const S3Location& location, std::shared_ptr<SharedKeys> credentials)
        : curl_(CurlOptions{location.skip_verify, ""}), credentials_(std::move(credentials)) {}

    Result<HttpAnswer> send(const HttpRequestSpec& request, const Sink& on_body) override {
        return curl_.send(request, on_body);
    }
    void cancel() override {
        curl_.cancel();
        credentials_->cancel();
    }

  private:
    CurlTransport curl_;
    const std::shared_ptr<SharedKeys> credentials_;
};

const char* variable(const char* name) { return ::secure_getenv(name); }

}  // namespace

Result<std::unique_ptr<ReplicaClient>> open_s3_client(const Url& url) {
    LITESTREAM_ASSIGN(S3Location location, parse_s3_location(url, variable));
    auto credentials = std::make_shared<SharedKeys>(variable);
    auto transport = std::make_unique<StoreTransport>(location, credentials);
    const S3Keys keys = [credentials](bool refresh) { return credentials->get(refresh); };
    // Those of duplicates leave the keys alone: to end one of them must not end all.
    const auto connect = [skip_verify = location.skip_verify]() -> std::unique_ptr<HttpTransport> {
        return std::make_unique<CurlTransport>(CurlOptions{skip_verify, ""});
    };
    return std::unique_ptr<ReplicaClient>(std::make_unique<S3ReplicaClient>(
        std::move(location), keys, std::move(transport), S3Options(), connect));
}

}  // namespace litestream
