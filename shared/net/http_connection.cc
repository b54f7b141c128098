#include "shared/net/http_connection.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

#include "shared/net/http_parser.h"

namespace litestream {
namespace {

namespace asio = boost::asio;
using Code = boost::system::error_code;

constexpr std::size_t kMaxUnaskedBytes = 64 * 1024;

class Connection final : public HttpConnection,
                         public HttpPeer,
                         public std::enable_shared_from_this<Connection> {
  public:
    Connection(IoThread& io, std::string peer, std::shared_ptr<HttpCore> core)
        : socket_(io.context()), timer_(io.context()), core_(std::move(core)), peer_(std::move(peer)) {}

    bool assign(int descriptor) {
        Code error;
        socket_.assign(asio::ip::tcp::v4(), descriptor, error);
        return !error;
    }
    void start() override;
    void terminate() override;

    void write(ByteView bytes, std::function<void(bool)> done) override;
    void finish() override;
    void close() override;
    std::string name() const override { return peer_; }

  private:
    enum class State : std::uint8_t { kReading, kAnswering, kStreaming, kDraining, kClosed };

    void read_more();
    void on_read(const Code& error, std::size_t size);
    void on_unasked(std::size_t size);
    void take_request();
    void refuse(unsigned status, const std::string& why);
    void respond(const ParsedRequest& parsed);
    void respond_once(const HttpResponse& response, const ParsedRequest& parsed);
    void respond_with_stream(const StreamReply& reply, const ParsedRequest& parsed);
    void start_stream();
    void deliver(ByteView bytes);
    void next_request();
    void end_body();
    void end_stream();
    void drain();

    void send(std::string head, ByteView body, std::string_view tail, std::function<void()> then);
    void write_more();
    void on_written(const Code& error, std::size_t size);

    void start_timer(std::int64_t delay_ms);
    void stop_timer();
    void on_timer();
    void post(void (Connection::*step)());

    asio::ip::tcp::socket socket_;
    asio::steady_timer timer_;
    std::uint64_t round_ = 0;  // of the timer: an expiry that waits in the queue may be of an old one
    const std::shared_ptr<HttpCore> core_;
    const std::string peer_;
    State state_ = State::kReading;

    Bytes buffer_ = Bytes(kMaxRequestHeaderSize);
    std::size_t filled_ = 0;  // of the buffer, while reading a request
    std::size_t unasked_bytes_ = 0;
    bool is_reading_ = false;

    // What is being written: three pieces, and how much of them all is with the kernel.
    std::string head_;
    ByteView body_;
    std::string_view tail_;
    std::size_t written_ = 0;
    std::function<void()> then_;

    // A streaming answer.
    std::shared_ptr<HttpStream> stream_;
    bool has_started_ = false;
    bool is_upgraded_ = false;
    bool is_chunked_ = false;
    bool is_finishing_ = false;
    bool is_closing_ = false;
    std::function<void(bool)> done_;  // of the stream's pending write
};

void Connection::start() {
    start_timer(core_->limits().request_ms);
    read_more();
}

void Connection::terminate() {
    if (state_ == State::kClosed) return;
    const auto self = shared_from_this();
    state_ = State::kClosed;
    stop_timer();
    Code ignored;
    // A forked child may have it open still: the client shall know all the same.
    socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
    socket_.close(ignored);
    core_->forget(*this);
    const auto stream = std::move(stream_);
    if (const auto done = std::exchange(done_, nullptr)) done(false);
    if (stream && has_started_) stream->on_closed();
}

// --- Reading

void Connection::read_more() {
    if (is_reading_ || state_ == State::kClosed) return;
    is_reading_ = true;
    const std::size_t offset = state_ == State::kReading ? filled_ : 0;
    socket_.async_read_some(
        asio::buffer(buffer_.data() + offset, buffer_.size() - offset),
        [self = shared_from_this()](const Code& error, std::size_t size) { self->on_read(error, size); });
}

void Connection::on_read(const Code& error, std::size_t size) {
    is_reading_ = false;
    if (state_ == State::kClosed) return;
    if (error) return terminate();
    switch (state_) {
        case State::kReading:
            if (filled_ == 0) start_timer(core_->limits().request_ms);
            filled_ += size;
            return take_request();
        case State::kStreaming:
            if (!is_upgraded_) return on_unasked(size);
            deliver(ByteView(buffer_).first(size));
            return read_more();
        case State::kAnswering:
        case State::kDraining:
        case State::kClosed:
            return on_unasked(size);
    }
}

void Connection::on_unasked(std::size_t size) {
    unasked_bytes_ += size;
    if (unasked_bytes_ > kMaxUnaskedBytes) return terminate();
    read_more();
}

void Connection::take_request() {
    const auto parsed = parse_request(ByteView(buffer_).first(filled_));
    if (!parsed) return read_more();
    if (parsed->refusal != 0) return refuse(parsed->refusal, parsed->why);
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(parsed->size_bytes),
              buffer_.begin() + static_cast<std::ptrdiff_t>(filled_), buffer_.begin());
    filled_ -= parsed->size_bytes;
    respond(*parsed);
}

// --- Answering

void Connection::refuse(unsigned status, const std::string& why) {
    state_ = State::kAnswering;
    send(whole_response(error_response(status, why), false, false), {}, {}, [this] { drain(); });
}

void Connection::respond(const ParsedRequest& parsed) {
    stop_timer();
    state_ = State::kAnswering;
    HttpRequest request = parsed.request;
    request.peer = peer_;
    const HttpReply reply = core_->answer(request);
    if (const auto* response = std::get_if<HttpResponse>(&reply)) return respond_once(*response, parsed);
    respond_with_stream(std::get<StreamReply>(reply), parsed);
}

void Connection::respond_once(const HttpResponse& response, const ParsedRequest& parsed) {
    const bool keeps = parsed.wants_keep_alive;
    send(whole_response(response, parsed.request.method == "HEAD", keeps), {}, {},
         [this, keeps] { keeps ? next_request() : drain(); });
}

void Connection::respond_with_stream(const StreamReply& reply, const ParsedRequest& parsed) {
    is_upgraded_ = !reply.upgrade.empty();
    is_chunked_ = !is_upgraded_ && !parsed.is_http_1_0;
    auto headers = reply.headers;
    if (is_upgraded_) headers.emplace_back("Upgrade", reply.upgrade);
    if (is_chunked_) headers.emplace_back("Transfer-Encoding", "chunked");
    headers.emplace_back("Connection", is_upgraded_ ? "Upgrade" : "close");
    const bool is_head = parsed.request.method == "HEAD";
    if (!is_head) stream_ = reply.stream;
    send(response_head(is_upgraded_ ? 101 : 200, headers), {}, {},
         [this] { stream_ ? start_stream() : drain(); });
}

void Connection::start_stream() {
    state_ = State::kStreaming;
    has_started_ = true;
    stream_->start(*this);
    const std::size_t early = std::exchange(filled_, 0);
    if (is_upgraded_) deliver(ByteView(buffer_).first(early));
    read_more();
}

void Connection::deliver(ByteView bytes) {
    if (!bytes.empty() && !is_closing_ && !is_finishing_) stream_->on_data(bytes);
}

void Connection::next_request() {
    state_ = State::kReading;
    start_timer(filled_ == 0 ? core_->limits().idle_ms : core_->limits().request_ms);
    filled_ == 0 ? read_more() : take_request();
}

// --- A streaming answer

void Connection::write(ByteView bytes, std::function<void(bool)> done) {
    if (state_ != State::kStreaming) return;
    done_ = std::move(done);
    if (is_closing_ || is_finishing_) return;  // terminate() or end_stream() calls it
    const auto then = [this] {
        const bool was_finishing = is_finishing_;  // finish() from within sees to itself
        if (const auto called = std::exchange(done_, nullptr)) called(true);
        if (was_finishing) end_body();
    };
    if (bytes.empty()) {  // as a chunk it would be the last
        asio::post(socket_.get_executor(), [self = shared_from_this(), then] {
            if (self->state_ == State::kStreaming) then();
        });
    } else if (is_chunked_) {
        std::array<char, 2 * sizeof bytes.size() + 3> size_line{};
        std::snprintf(size_line.data(), size_line.size(), "%zx\r\n", bytes.size());
        send(size_line.data(), bytes, "\r\n", then);
    } else {
        send({}, bytes, {}, then);
    }
}

void Connection::finish() {
    if (state_ != State::kStreaming || is_finishing_) return;
    is_finishing_ = true;
    if (!done_) end_body();
}

void Connection::close() {
    is_closing_ = true;
    post(&Connection::terminate);
}

void Connection::end_body() {
    if (!is_chunked_) return post(&Connection::end_stream);
    send("0\r\n\r\n", {}, {}, [this] { end_stream(); });
}

void Connection::end_stream() {
    if (state_ != State::kStreaming) return;
    const auto stream = std::move(stream_);
    drain();
    if (const auto done = std::exchange(done_, nullptr)) done(false);
    stream->on_closed();
}

void Connection::drain() {
    state_ = State::kDraining;
    Code ignored;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    start_timer(core_->limits().drain_ms);
    read_more();
}

// --- Writing

void Connection::send(std::string head, ByteView body, std::string_view tail, std::function<void()> then) {
    head_ = std::move(head);
    body_ = body;
    tail_ = tail;
    written_ = 0;
    then_ = std::move(then);
    write_more();
}

void Connection::write_more() {
    std::array<asio::const_buffer, 3> pieces;
    std::size_t skip = written_;
    const std::array<ByteView, 3> views = {as_bytes(head_), body_, as_bytes(tail_)};
    for (std::size_t i = 0; i < views.size(); i++) {
        const std::size_t gone = std::min(skip, views[i].size());
        pieces[i] = asio::buffer(views[i].data() + gone, views[i].size() - gone);
        skip -= gone;
    }
    start_timer(core_->limits().write_ms);
    socket_.async_write_some(pieces, [self = shared_from_this()](const Code& error, std::size_t size) {
        self->on_written(error, size);
    });
}

void Connection::on_written(const Code& error, std::size_t size) {
    if (state_ == State::kClosed) return;
    if (error) return terminate();
    written_ += size;
    if (written_ < head_.size() + body_.size() + tail_.size()) return write_more();
    stop_timer();
    const auto then = std::exchange(then_, nullptr);
    then();
}

// --- Time

void Connection::start_timer(std::int64_t delay_ms) {
    const std::uint64_t round = ++round_;
    timer_.expires_after(std::chrono::milliseconds(delay_ms));
    timer_.async_wait([weak = weak_from_this(), round](const Code& error) {
        const auto self = weak.lock();
        if (!error && self && self->round_ == round) self->on_timer();
    });
}

void Connection::stop_timer() {
    round_++;
    timer_.cancel();
}

void Connection::on_timer() {
    if (state_ == State::kReading && filled_ > 0) return refuse(408, "the request did not come in time");
    terminate();
}

void Connection::post(void (Connection::*step)()) {
    asio::post(socket_.get_executor(), [self = shared_from_this(), step] { ((*self).*step)(); });
}

}  // namespace

std::shared_ptr<HttpConnection> make_http_connection(IoThread& io, int descriptor, const std::string& peer,
                                                     std::shared_ptr<HttpCore> core) {
    auto connection = std::make_shared<Connection>(io, peer, std::move(core));
    if (connection->assign(descriptor)) return connection;
    ::close(descriptor);
    return nullptr;
}

}  // namespace litestream
