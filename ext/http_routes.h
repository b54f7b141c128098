// HttpRoutes: which request is answered by whom, and which by nobody. Reentrant; called on the I/O thread.
#pragma once

#include <functional>
#include <string>

#include "shared/net/http_server.h"

namespace litestream {

class HttpRoutes {
  public:
    struct Answers {
        std::function<HttpReply(const HttpRequest&)> stream;
        std::function<std::string()> metrics;
        std::function<std::string()> status;
        std::function<std::string()> trouble;  // "": all is well
    };

    // `checks_host`: only loopback names are served.
    HttpRoutes(std::string token, bool checks_host, Answers answers)
        : token_(std::move(token)), checks_host_(checks_host), answers_(std::move(answers)) {}

    HttpReply handle(const HttpRequest& request) const;

  private:
    bool has_token(const HttpRequest& request) const;
    HttpResponse health() const;

    const std::string token_;  // empty: none is asked for
    const bool checks_host_;
    const Answers answers_;
};

}  // namespace litestream
