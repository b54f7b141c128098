// ScriptedServer: plain sockets on 127.0.0.1. Accepts connections one after the other, on a thread, and runs
// a script on each; the connection is closed behind it.
//
// Thread-bound but for the script, which runs on the server's thread. Every wait has a limit of ten seconds.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "shared/base/file.h"

namespace litestream::following {

constexpr int kDeadlineMs = 10'000;

class RawPeer {
  public:
    explicit RawPeer(File socket) : socket_(std::move(socket)) {}

    void send(std::string_view text) {
        while (!text.empty()) {
            const ssize_t size = ::send(socket_.descriptor(), text.data(), text.size(), MSG_NOSIGNAL);
            if (size < 0) return;
            text.remove_prefix(static_cast<std::size_t>(size));
        }
    }
    // "" at the end, and when nothing comes.
    std::string read_some() {
        pollfd watched = {socket_.descriptor(), POLLIN, 0};
        if (::poll(&watched, 1, kDeadlineMs) != 1) return "";
        std::string text(4096, '\0');
        const ssize_t size = ::recv(socket_.descriptor(), text.data(), text.size(), 0);
        text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
        return text;
    }
    std::string read_request() {
        std::string text;
        while (text.find("\r\n\r\n") == std::string::npos) {
            const std::string more = read_some();
            if (more.empty()) break;
            text += more;
        }
        return text;
    }
    void wait_for_end() {
        while (!read_some().empty()) continue;
    }

  private:
    File socket_;
};

class ScriptedServer {
  public:
    using Script = std::function<void(RawPeer&)>;
    explicit ScriptedServer(Script script, int connections = 1)
        : script_(std::move(script)),
          listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "listener") {
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const any = reinterpret_cast<sockaddr*>(&address);
        const bool listens = ::bind(listener_.descriptor(), any, size) == 0 &&
                             ::listen(listener_.descriptor(), connections) == 0 &&
                             ::getsockname(listener_.descriptor(), any, &size) == 0;
        if (!listens) throw std::runtime_error("cannot listen");
        url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
        thread_ = std::thread([this, connections] { serve(connections); });
    }
    ~ScriptedServer() { thread_.join(); }
    ScriptedServer(const ScriptedServer&) = delete;
    ScriptedServer& operator=(const ScriptedServer&) = delete;
    const std::string& url() const { return url_; }

  private:
    void serve(int connections) {
        for (; connections > 0; connections--) {
            pollfd watched = {listener_.descriptor(), POLLIN, 0};
            if (::poll(&watched, 1, kDeadlineMs) != 1) return;
            RawPeer peer(File(::accept4(listener_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC), "peer"));
            script_(peer);
        }
    }

    const Script script_;
    File listener_;
    std::string url_;
    std::thread thread_;
};

}  // namespace litestream::following
