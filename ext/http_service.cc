#include "ext/http_service.h"

#include <stdlib.h>

#include <algorithm>
#include <utility>

#include "ext/http_routes.h"
#include "ext/metrics.h"
#include "shared/base/events.h"
#include "shared/base/log.h"
#include "shared/net/address.h"
#include "vfs/shim_vfs.h"

namespace litestream {
namespace {

constexpr const char* kTokenVariable = "LITESTREAM_TOKEN";
constexpr const char* kHttpPort = "80";  // where a URL names none
constexpr std::size_t kMaxTokenSize = 4096;
// Snapshots for live replicas are copied one after the other, at the disk's speed.
constexpr int kSnapshotThreads = 1;

class Served final : public ServedDatabase {
  public:
    explicit Served(std::shared_ptr<Replication> replication) : replication_(std::move(replication)) {}
    const std::string& path() const override { return replication_->database().path(); }
    SegmentStore& store() override { return replication_->database().store(); }
    ImageSource& images() override { return replication_->images(); }
    std::uint32_t page_size() const override { return page_size_of(*replication_); }

  private:
    const std::shared_ptr<Replication> replication_;
};

bool is_served(const Replication& replication, const std::vector<std::string>& databases) {
    const Database& database = replication.database();
    if (!database.is_replica() && !database.wants_capture()) return false;
    if (databases.empty()) return true;
    return std::find(databases.begin(), databases.end(), database.path()) != databases.end();
}

Replications served_of(Replications open, const std::vector<std::string>& databases) {
    std::erase_if(open, [&](const auto& replication) { return !is_served(*replication, databases); });
    return open;
}

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// "app.db" and "/app.db"
bool is_bare_name(const std::string& path) { return path.find('/', 1) == std::string::npos; }

// An absolute path before a file name. Null: not served.
Result<std::shared_ptr<ServedDatabase>> find_served(const Replications& served, const std::string& path) {
    std::shared_ptr<Replication> found;
    for (const auto& replication : served) {
        const std::string& known = replication->database().path();
        if (known == path) return std::shared_ptr<ServedDatabase>(std::make_shared<Served>(replication));
        if (!is_bare_name(path) || file_name(known) != file_name(path)) continue;
        if (found) {
            return Error{ErrorCode::kExists, "several databases here are called " + file_name(path) +
                                                 "; give the absolute path of one"};
        }
        found = replication;
    }
    return found ? std::make_shared<Served>(std::move(found)) : std::shared_ptr<ServedDatabase>();
}

Status check_exposed(const ServeOptions& options, bool is_loopback) {
    if (is_loopback || options.insecure || !options.token.empty()) return {};
    return bad_input(options.address +
                     " is no loopback address, and there is no token: whoever reaches it could read the "
                     "database; give the option token_file or LITESTREAM_TOKEN, listen on 127.0.0.1, or say "
                     "{\"insecure\":true}");
}

}  // namespace

Result<std::string> token_from_environment() {
    const char* value = ::secure_getenv(kTokenVariable);
    const std::string token = value == nullptr ? "" : value;
    const bool is_visible =
        std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 127; });
    if (is_visible && token.size() <= kMaxTokenSize) return token;
    return bad_input(std::string(kTokenVariable) + " must be 1 to 4096 visible ASCII characters");
}

// The HTTP server goes first: its connections use the streams.
struct HttpService::Running {
    Running(const ServeOptions& serve_options, IoThread& io, Scheduler& scheduler,
            const std::function<Replications()>& all_open)
        : options(serve_options),
          open(all_open),
          streams(io, scheduler, [this](const std::string& path) { return find_served(served(), path); }) {}

    bool is_at(const std::string& address) const {
        return options.address == address || url == "http://" + address;
    }
    bool is_same(ServeOptions other) const {
        if (!is_at(other.address)) return false;
        other.address = options.address;
        return other == options;
    }
    Replications served() const { return served_of(open(), options.databases); }
    ServerStatus status() const { return {url, streams.streams()}; }
    HttpRoutes routes(bool checks_host);

    const ServeOptions options;
    const std::function<Replications()> open;
    std::string url;  // before others know of it
    StreamServer streams;
    std::unique_ptr<HttpServer> http;
};

// Owned by the HTTP server, which `this` outlives.
HttpRoutes HttpService::Running::routes(bool checks_host) {
    HttpRoutes::Answers answers;
    answers.stream = [this](const HttpRequest& request) { return streams.handle(request); };
    answers.metrics = [this] { return metrics_text(served(), status()); };
    answers.status = [this] { return service_status_text(served(), status()); };
    answers.trouble = [this] { return service_trouble(served()); };
    return {options.token, checks_host, std::move(answers)};
}

HttpService::HttpService(std::function<Replications()> open)
    : open_(std::move(open)), snapshots_(kSnapshotThreads) {}

HttpService::~HttpService() { stop(); }

std::shared_ptr<HttpService::Running> HttpService::running() const {
    const std::lock_guard lock(mutex_);
    return running_;
}

void HttpService::set_running(std::shared_ptr<Running> next, bool was_stopped) {
    const std::lock_guard lock(mutex_);
    running_ = std::move(next);  // whoever replaces one holds it still
    was_stopped_ = was_stopped;
}

// A name may be looked up twice with two answers: what counts in the end is where the server listens.
Result<std::shared_ptr<HttpService::Running>> HttpService::listen(const ServeOptions& options) {
    LITESTREAM_ASSIGN(const bool is_loopback, is_loopback_address(options.address));
    LITESTREAM_TRY(check_exposed(options, is_loopback));
    note_use();
    auto running = std::make_shared<Running>(options, io_, snapshots_, open_);
    const HttpRoutes routes = running->routes(is_loopback && options.token.empty());
    LITESTREAM_ASSIGN(running->http,
                      HttpServer::listen(io_, options.address, [routes](const HttpRequest& request) {
                          return routes.handle(request);
                      }));
    io_.run([&] { running->url = running->http->base_url(); });  // requests read it there
    LITESTREAM_TRY(check_exposed(options, running->http->is_loopback()));
    return running;
}

Result<HttpService::Started> HttpService::start(const ServeOptions& options) {
    const std::lock_guard change(change_mutex_);
    if (const auto present = running()) {
        if (present->is_same(options)) return Started{present->url, false};
        return bad_input("this process serves at " + present->url + " already" +
                         (present->is_at(options.address) ? ", with other options" : "") +
                         "; SELECT litestream_serve_stop() first");
    }
    LITESTREAM_ASSIGN(auto next, listen(options));
    std::string url = next->url;
    set_running(std::move(next), false);
    record_event("", "server_started", url);
    return Started{std::move(url), true};
}

void HttpService::request(const std::string& address, const std::string& database) {
    {
        const std::lock_guard lock(mutex_);
        if (was_stopped_ || (running_ && running_->is_at(address))) return;
    }
    ServeOptions options;
    options.address = address;
    auto token = token_from_environment();
    if (!token) return note_refusal(database, token.error().message);
    options.token = *std::move(token);
    const auto started = start(options);
    note_refusal(database, started ? "" : started.error().message);
}

// Of many connections that ask the same, the first one is told.
void HttpService::note_refusal(const std::string& database, const std::string& why) {
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(refusal_, why) == why) return;
    }
    if (why.empty()) return;
    log_line("litestream: " + database + ": cannot serve: " + why);
    record_event(database, "serve_refused", why);
}

bool HttpService::stop() { return end(true); }
void HttpService::withdraw() { end(false); }

bool HttpService::end(bool by_hand) {
    const std::lock_guard change(change_mutex_);
    const auto ending = running();
    if (!ending) return false;
    ending->http.reset();
    for (const auto& replication : open_()) ending->streams.drop(replication->database().path());
    set_running(nullptr, by_hand);
    record_event("", "server_stopped", ending->url);
    return true;
}

ServerStatus HttpService::status() const {
    if (is_forked_child()) return {};
    const auto now = running();
    return now ? now->status() : ServerStatus();
}

bool HttpService::is_at(const Url& url) const {
    if (is_forked_child() || url.scheme != "http") return false;
    const auto now = running();
    const auto own = now ? Url::parse(now->url) : Result<Url>(Url());
    if (!own || own->port.empty() || own->port != (url.port.empty() ? kHttpPort : url.port)) return false;
    if (own->host == url.host) return true;
    const bool is_everywhere = own->host == "0.0.0.0" || own->host == "::" || own->host == "[::]";
    return is_loopback_host(url.host) && (is_everywhere || is_loopback_host(own->host));
}

void HttpService::drop(const std::string& path) {
    const std::lock_guard change(change_mutex_);
    if (const auto now = running()) now->streams.drop(path);
}

}  // namespace litestream
