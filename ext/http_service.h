// HttpService: the one HTTP server of the process, and what it answers:
//
//   /stream   live replicas (shared/stream/stream_server.h)
//   /metrics  Prometheus text (ext/metrics.h)
//   /status   JSON of every served database (ext/service_status.h)
//   /healthz  200 "ok", or 503 and the reasons; no token needed
//
// A token guards all but /healthz. Without one only loopback is served (or `insecure` said otherwise), and
// there a Host header of another name is refused: a web page that resolves its name to 127.0.0.1 reads
// nothing.
//
// The server stays while no database is open, until stop() or the end of the process, which waits for nothing
// here. A forked child leaves it alone.
//
// Thread-safe; not from the I/O thread. Lock order: change_mutex_ (held while the server starts and stops),
// then mutex_ (the pointer only; innermost). Handlers take neither.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ext/service_status.h"
#include "shared/base/scheduler.h"
#include "shared/base/url.h"
#include "shared/net/http_server.h"
#include "shared/stream/stream_server.h"

namespace litestream {

struct ServeOptions {
    std::string address;
    std::vector<std::string> databases;  // absolute paths; empty: all
    std::string token;                   // empty: none
    bool insecure = false;

    bool operator==(const ServeOptions&) const = default;
};

// LITESTREAM_TOKEN; empty: none. kInput: it cannot be a token.
Result<std::string> token_from_environment();

class HttpService {
  public:
    // `open`: what this process has open, asked again and again, also on the I/O thread.
    explicit HttpService(std::function<Replications()> open);
    ~HttpService();  // stopped
    HttpService(const HttpService&) = delete;
    HttpService& operator=(const HttpService&) = delete;

    struct Started {
        std::string url;
        bool is_new = false;  // it was not there before
    };
    // The server that is there, if it was started with the same options. kInput: it was not, or the options
    // are not safe; kCantOpen: the address is not free.
    Result<Started> start(const ServeOptions& options);
    // As a URI or the environment asks, when `database` is opened, unless it is there or somebody called
    // stop(). What goes wrong is an event.
    void request(const std::string& address, const std::string& database);
    bool stop();      // false: there was none
    void withdraw();  // the same, by the call that started it and then failed

    ServerStatus status() const;
    // Is it this server that such a URL leads to, as far as its host tells without asking anybody?
    bool is_at(const Url& url) const;
    // No stream refers to the database once this returns, and none will: it is not among the open ones any
    // more.
    void drop(const std::string& path);

  private:
    struct Running;

    std::shared_ptr<Running> running() const;
    Result<std::shared_ptr<Running>> listen(const ServeOptions& options);
    bool end(bool by_hand);
    void note_refusal(const std::string& database, const std::string& why);
    void set_running(std::shared_ptr<Running> next, bool was_stopped);

    const std::function<Replications()> open_;
    IoThread io_;
    Scheduler snapshots_;

    std::mutex change_mutex_;
    mutable std::mutex mutex_;
    std::shared_ptr<Running> running_;  // guarded by mutex_, changed with both held
    std::string refusal_;               // guarded by mutex_: of the last request
    bool was_stopped_ = false;          // guarded by mutex_
};

}  // namespace litestream
