// HttpProbe: one raw HTTP connection to this machine, so that a test sees what is on the wire. Thread-bound.
// A server that says nothing for 20 s fails the test.
#pragma once

#include <string>

namespace litestream::test {

class HttpProbe {
  public:
    explicit HttpProbe(const std::string& url);  // "http://127.0.0.1:PORT"
    ~HttpProbe();
    HttpProbe(const HttpProbe&) = delete;
    HttpProbe& operator=(const HttpProbe&) = delete;

    void send(const std::string& text);
    // What has come once it contains `part`, or all of it if it never does.
    std::string read_until(const std::string& part);
    std::string read_all();  // until the server closes

  private:
    bool receive();
    int descriptor_ = -1;
    std::string received_;
};

// A port that somebody else has.
class BusyPort {
  public:
    BusyPort();
    ~BusyPort();
    BusyPort(const BusyPort&) = delete;
    BusyPort& operator=(const BusyPort&) = delete;
    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  private:
    int descriptor_;
    int port_ = 0;
};

// The whole answer to one GET; `headers`: lines with their ends, a Host among them replaces ours.
std::string http_get(const std::string& url, const std::string& target, const std::string& headers = "");
unsigned status_of(const std::string& answer);
std::string body_of(const std::string& answer);

}  // namespace litestream::test
