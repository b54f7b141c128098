// CurlTransport: HttpTransport over the system's libcurl. HTTP/1.1, http and https (the system's trust store,
// or SSL_CERT_FILE and SSL_CERT_DIR; TLS 1.2 or newer), connections kept and used again, the proxy that the
// environment asks for (shared/net/proxy.h).
//
// A request waits in poll() and nowhere else: cancel() wakes it at once, and while it waits for the peer
// there is no timer but the deadline. No signal is raised and none is handled. A request that found a kept
// connection dead is sent again by libcurl itself, whatever its method: an answer may be the second one.
//
// kCantOpen besides what HttpTransport names: no libcurl, or the peer's certificate is not trusted.
//
// Thread-bound except cancel(). The header of an answer is bounded by 64 KiB.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "shared/net/http_transport.h"

namespace litestream {

struct CurlOptions {
    bool skip_verify = false;  // do not check certificates
    std::string ca_file;       // trust these authorities instead; empty: as above
};

class CurlTransport final : public HttpTransport {
  public:
    explicit CurlTransport(CurlOptions options = {});
    ~CurlTransport() override;

    Result<HttpAnswer> send(const HttpRequestSpec& request, const Sink& on_body = nullptr) override;
    void cancel() override;

  private:
    struct Handles;  // of libcurl
    class Transfer;

    Status start();

    const CurlOptions options_;
    std::atomic<bool> is_cancelled_ = false;
    std::mutex mutex_;                  // between start() and cancel()
    std::unique_ptr<Handles> handles_;  // from the first request on
};

}  // namespace litestream
