#include "shared/stream/stream_client.h"

#include <algorithm>
#include <array>
#include <utility>

#include "shared/base/clock.h"
#include "shared/stream/message_follower.h"
#include "shared/stream/record_follower.h"
#include "shared/stream/stream_request.h"

namespace litestream {
namespace {

constexpr std::int64_t kRefusalTextMs = 2000;  // to read the server's words about a refusal
constexpr unsigned kOk = 200;
constexpr unsigned kSwitching = 101;

Error interrupted() { return {ErrorCode::kInterrupt, "stopped"}; }

class HttpWire final : public StreamWire {
  public:
    HttpWire(HttpClient& client, std::function<void(std::size_t)> count)
        : client_(client), count_(std::move(count)) {}

    Result<std::optional<std::size_t>> read_for(ByteSpan buffer, std::int64_t timeout_ms) override {
        auto size = client_.read_for(buffer, timeout_ms);
        if (size && size->value_or(0) != 0) count_(**size);
        return size;
    }
    Status write(ByteView bytes) override { return client_.write(bytes); }

  private:
    HttpClient& client_;
    const std::function<void(std::size_t)> count_;
};

// The server's words, as far as they come at once.
std::string refusal_text(HttpClient& client) {
    Bytes text(kMaxRefusalText);
    std::size_t held = 0;
    const std::int64_t deadline_ms = steady_clock_ms() + kRefusalTextMs;
    while (held < text.size()) {
        const std::int64_t left_ms = std::max<std::int64_t>(deadline_ms - steady_clock_ms(), 0);
        const auto size = client.read_for(ByteSpan(text).subspan(held), left_ms);
        if (!size || size->value_or(0) == 0) break;
        held += **size;
    }
    return printable_line(ByteView(text).first(held));
}

}  // namespace

StreamClient::StreamClient(StreamSource source, ReplicaFeed& feed)
    : source_(std::move(source)), feed_(feed), connect_ms_(source_.limits.connect_ms) {}

// A connection is known to stop() from before its first step until after its last.
Error StreamClient::run() {
    HttpClient client;
    {
        const std::lock_guard lock(mutex_);
        if (stopped_) return interrupted();
        client_ = &client;
    }
    Error error = follow(client);
    const std::lock_guard lock(mutex_);
    client_ = nullptr;
    progress_.is_connected = false;
    return stopped_ ? interrupted() : error;
}

void StreamClient::stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    if (client_ != nullptr) client_->cancel();
}

StreamProgress StreamClient::progress() const {
    const std::lock_guard lock(mutex_);
    return progress_;
}

Error StreamClient::follow(HttpClient& client) {
    LITESTREAM_TRY(connect(client));
    auto page_size = accepted_page_size(client);
    if (!page_size) return std::move(page_size).error();
    {
        const std::lock_guard lock(mutex_);
        progress_.is_connected = true;
        progress_.heard_ms = wall_clock_ms();
    }
    Error error = converse(client, *page_size);
    // What the connection itself says names the server already.
    const std::string server = source_.url.scheme + "://" + source_.url.host;
    if (error.code == ErrorCode::kInterrupt || error.message.starts_with(server)) return error;
    return std::move(error).context(server_of(source_) + ", database " + source_.path);
}

// An answer that did not come in time may still come to who waits longer.
Status StreamClient::connect(HttpClient& client) {
    HttpGet get = stream_request(source_, feed_.state().position);
    get.connect_timeout_ms = connect_ms_;
    const std::int64_t begun_ms = steady_clock_ms();
    auto got = client.get(get);
    if (got) {
        connect_ms_ = source_.limits.connect_ms;
        return {};
    }
    if (steady_clock_ms() - begun_ms >= connect_ms_) {
        connect_ms_ = std::min(connect_ms_ * 2, source_.limits.longest_connect_ms);
    }
    return got;
}

Result<std::uint32_t> StreamClient::accepted_page_size(HttpClient& client) const {
    const unsigned status = client.status();
    if (status != kOk && status != kSwitching) return refusal_of(source_, status, refusal_text(client));
    const auto page_size = read_page_size(client.header(kPageSizeHeader));
    if (!page_size)
        return Error{page_size.error().code, server_of(source_) + " " + page_size.error().message};
    if (auto checked = check_page_size(replica_page_size(), *page_size); !checked) {
        return std::move(checked).error().context(server_of(source_));
    }
    if (status == kSwitching && !client.is_upgraded()) {
        return bad_input(server_of(source_) + " answers with a protocol that nobody asked for");
    }
    return *page_size;
}

std::uint32_t StreamClient::replica_page_size() const {
    return source_.page_size != 0 ? source_.page_size : feed_.state().page_size;
}

Error StreamClient::converse(HttpClient& client, std::uint32_t page_size) {
    HttpWire wire(client, [this](std::size_t size) {
        const std::lock_guard lock(mutex_);
        progress_.received_bytes += size;
    });
    StreamContext context{wire,
                          source_,
                          feed_,
                          page_size,
                          replica_page_size(),
                          [this](const std::function<void(StreamProgress&)>& change) {
                              const std::lock_guard lock(mutex_);
                              change(progress_);
                          }};
    return client.is_upgraded() ? MessageFollower(context).run() : RecordFollower(context).run();
}

}  // namespace litestream
