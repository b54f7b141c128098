#include "ext/http_routes.h"

#include <strings.h>

#include "ext/metrics.h"
#include "shared/net/address.h"
#include "shared/net/token.h"

namespace litestream {
namespace {

constexpr std::string_view kScheme = "bearer ";

HttpResponse text(unsigned status, const std::string& body) {
    HttpResponse response;
    response.status = status;
    response.body = body + "\n";
    return response;
}

HttpResponse not_found() { return text(404, "404 page not found"); }

HttpResponse unauthorized() {
    HttpResponse response =
        text(401, "this server asks for its token in the header Authorization: Bearer TOKEN");
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return response;
}

HttpResponse foreign_host(const std::string& host) {
    return text(403, "the Host header names \"" + host +
                         "\": without a token this server answers to localhost, 127.0.0.1 and [::1] only");
}

HttpResponse not_allowed() {
    HttpResponse response = text(405, "Method not allowed");
    response.headers.emplace_back("Allow", "GET, HEAD");
    return response;
}

HttpResponse content(const char* type, std::string body) {
    HttpResponse response;
    response.content_type = type;
    response.body = std::move(body);
    return response;
}

// "localhost:9090", "[::1]:9090", "127.0.0.1"
std::string without_port(const std::string& host) {
    const std::size_t end_of_v6 = host.rfind(']');
    const std::size_t colon = host.rfind(':');
    if (colon == std::string::npos) return host;
    if (end_of_v6 != std::string::npos && colon < end_of_v6) return host;
    return host.substr(0, colon);
}

// One that is absent names nobody: no browser leaves it out.
bool is_foreign_host(const HttpRequest& request) {
    const std::string& host = request.header("host");
    return !host.empty() && !is_loopback_host(without_port(host));
}

}  // namespace

HttpReply HttpRoutes::handle(const HttpRequest& request) const {
    if (checks_host_ && is_foreign_host(request)) return foreign_host(request.header("host"));
    const std::string& path = request.path;
    const bool is_health = path == "/healthz";
    if (!is_health && !has_token(request)) return unauthorized();
    if (path == "/stream") return answers_.stream(request);
    if (!is_health && path != "/metrics" && path != "/status") return not_found();
    if (request.method != "GET" && request.method != "HEAD") return not_allowed();
    if (is_health) return health();
    if (path == "/metrics") return content(kMetricsContent, answers_.metrics());
    return content("application/json", answers_.status());
}

bool HttpRoutes::has_token(const HttpRequest& request) const {
    if (token_.empty()) return true;
    const std::string& given = request.header("authorization");
    if (::strncasecmp(given.c_str(), kScheme.data(), kScheme.size()) != 0) return false;
    return equal_in_constant_time(std::string_view(given).substr(kScheme.size()), token_);
}

HttpResponse HttpRoutes::health() const {
    std::string trouble = answers_.trouble();
    if (trouble.empty()) return text(200, "ok");
    HttpResponse response = content("text/plain; charset=utf-8", std::move(trouble));
    response.status = 503;
    return response;
}

}  // namespace litestream
