// Both ends of a connection for tests, as raw as a socket: what is sent is exactly what a test writes. Every
// wait has a deadline of ten seconds.
//
// Thread-bound, except where said.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "shared/base/file.h"
#include "shared/net/http_client.h"
#include "shared/net/http_server.h"

namespace litestream {

class RawPeer {
  public:
    explicit RawPeer(File socket) : socket_(std::move(socket)) {}
    static RawPeer connect(std::uint16_t port);  // to 127.0.0.1; a failure throws, and so fails the test

    bool send(std::string_view text);  // false: the other side is gone
    std::string read_some();           // "" at the end, at an error, and when nothing comes
    std::string read_until(std::string_view end);
    std::string read_all();  // until the other side closes
    void shut_write();
    int descriptor() const { return socket_.descriptor(); }

  private:
    File socket_;
};

// Accepts connections on a thread, one after the other, and runs the script on each.
class ScriptedServer {
  public:
    using Script = std::function<void(RawPeer&)>;
    explicit ScriptedServer(Script script, int connections = 1);
    ~ScriptedServer();
    std::uint16_t port() const { return port_; }

  private:
    void run(int connections);

    const Script script_;
    File listener_;
    std::uint16_t port_ = 0;
    std::thread thread_;
};

// The script of a server that reads a request and answers with `answer`, whatever it was.
ScriptedServer::Script answer_with(std::string answer);

// Counts what happens on other threads. Thread-safe.
class Tally {
  public:
    void add(const std::string& what);
    bool wait_for(const std::string& what, int times = 1);  // within ten seconds
    int count(const std::string& what) const;

  private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> seen_;  // guarded by mutex_
};

HttpGet get_request(std::uint16_t port, const std::string& target, const std::string& scheme = "http");
std::string read_body(HttpClient& client);  // to its end; an error as "error: ..."
std::uint16_t unused_port();                // nobody listens there

}  // namespace litestream
