// NetStream: a conversation with one peer, plain or TLS, in which every step has a deadline and any thread
// may end them all. Deadlines are times of steady_clock_ms().
//
// Thread-bound, except Canceller::cancel().
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "shared/base/bytes.h"
#include "shared/base/file.h"
#include "shared/base/result.h"
#include "shared/net/address.h"

namespace litestream {

// Wakes whoever waits in this folder's blocking calls, for good.
class Canceller {
  public:
    Canceller();
    void cancel();  // any thread
    bool is_cancelled() const { return is_cancelled_; }
    bool is_usable() const { return event_.is_open(); }  // false: the process has no descriptors left
    // Until `descriptor` is ready for `events` of poll(2). false: not by then. kInterrupt: cancelled.
    Result<bool> wait(int descriptor, short events, std::int64_t deadline_ms) const;

  private:
    File event_;
    std::atomic<bool> is_cancelled_ = false;
};

Error net_error(std::string message);  // kIo
Error net_error(int error_number);     // in the system's words
std::string seconds_text(std::int64_t duration_ms);

class NetStream {
  public:
    virtual ~NetStream() = default;
    // nullopt: nothing came by then. 0: the peer's clean end.
    virtual Result<std::optional<std::size_t>> read(ByteSpan buffer, std::int64_t deadline_ms) = 0;
    // Some of it; nullopt: none by then.
    virtual Result<std::optional<std::size_t>> write_some(ByteView bytes, std::int64_t deadline_ms) = 0;

    Status write(ByteView bytes, std::int64_t idle_limit_ms);  // the limit is for each piece
};

class TcpStream final : public NetStream {
  public:
    TcpStream(File socket, const Canceller& canceller) : socket_(std::move(socket)), canceller_(canceller) {}
    // Tries each until one answers; TCP_NODELAY and keep-alive are on.
    static Result<std::unique_ptr<TcpStream>> connect(const std::vector<Endpoint>& endpoints,
                                                      std::int64_t deadline_ms, const Canceller& canceller);

    Result<std::optional<std::size_t>> read(ByteSpan buffer, std::int64_t deadline_ms) override;
    Result<std::optional<std::size_t>> write_some(ByteView bytes, std::int64_t deadline_ms) override;
    int descriptor() const { return socket_.descriptor(); }
    const Canceller& canceller() const { return canceller_; }

  private:
    const File socket_;
    const Canceller& canceller_;
};

}  // namespace litestream
