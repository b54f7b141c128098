// What the tests of the serving end share: a store filled by hand, a database that is nothing but pages, and
// peers that take what is written when they are told to.
//
// Thread-safe where the I/O thread and workers come in: FakePeer, FakeImages. Waiting has a limit of 60 s,
// after which the test fails.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "shared/format/stream_message.h"
#include "shared/format/stream_record.h"
#include "shared/stream/stream_server.h"
#include "shared/stream/stream_session.h"
#include "tests/support/temp_directory.h"

namespace litestream {

constexpr std::uint32_t kTestPageSize = 4096;
inline const std::string kFirst = "00000000000000aa";
inline const std::string kSecond = "f0000000000000bb";

inline std::uint64_t at(std::uint64_t frames) { return wal_size(frames, kTestPageSize); }

inline void append(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

class Signal {
  public:
    // With the lock held: whoever waits may destroy this once it has it.
    void notify() { changed_.notify_all(); }
    std::unique_lock<std::mutex> lock() const { return std::unique_lock(mutex_); }
    template <typename Predicate>
    void wait(std::unique_lock<std::mutex>& held, Predicate predicate) {
        REQUIRE(changed_.wait_for(held, std::chrono::seconds(60), predicate));
    }

  private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
};

// Pages of byte N. A closed gate holds whoever reads a page.
class FakeImages final : public ImageSource {
  public:
    Result<std::unique_ptr<DatabaseImage>> pin() override;

    void set(Trailer trailer) { trailer_ = std::move(trailer); }
    void set_busy(int times) { busy_ = times; }
    void close_gate() { set_gate(false); }
    void open_gate() { set_gate(true); }
    int pins() const { return locked(pins_); }
    int most_pins() const { return locked(most_pins_); }  // at the same time
    void wait_for_readers(int count) {
        auto lock = signal_.lock();
        signal_.wait(lock, [&] { return readers_ >= count; });
    }
    Bytes database() const {
        Bytes bytes;
        for (std::uint32_t no = 1; no <= trailer_.page_count; no++)
            bytes.insert(bytes.end(), kTestPageSize, no & 255);
        return bytes;
    }

  private:
    friend class FakeImage;
    int locked(const int& value) const {
        const auto lock = signal_.lock();
        return value;
    }
    void set_gate(bool is_open) {
        const auto lock = signal_.lock();
        is_open_ = is_open;
        signal_.notify();
    }
    Signal signal_;
    Trailer trailer_;
    int busy_ = 0, pins_ = 0, most_pins_ = 0, readers_ = 0;
    bool is_open_ = true;
};

class FakeImage final : public DatabaseImage {
  public:
    explicit FakeImage(FakeImages& of) : of_(of) {}
    ~FakeImage() override {
        const auto lock = of_.signal_.lock();
        of_.pins_--;
    }
    const Trailer& trailer() const override { return of_.trailer_; }
    Status read_page(std::uint32_t page_no, ByteSpan page) override {
        auto lock = of_.signal_.lock();
        of_.readers_++;
        of_.signal_.notify();
        of_.signal_.wait(lock, [this] { return of_.is_open_; });
        of_.readers_--;
        std::fill(page.begin(), page.end(), static_cast<std::uint8_t>(page_no));
        return {};
    }

  private:
    FakeImages& of_;
};

inline Result<std::unique_ptr<DatabaseImage>> FakeImages::pin() {
    const auto lock = signal_.lock();
    if (busy_ > 0 && busy_-- > 0) return Error{ErrorCode::kBusy, "too fast"};
    most_pins_ = std::max(most_pins_, ++pins_);
    return std::unique_ptr<DatabaseImage>(std::make_unique<FakeImage>(*this));
}

class FakeDatabase final : public ServedDatabase {
  public:
    explicit FakeDatabase(const std::string& path) : path_(path), store_(path) { REQUIRE(store_.open(0600)); }
    const std::string& path() const override { return path_; }
    SegmentStore& store() override { return store_; }
    FakeImages& images() override { return images_; }
    std::uint32_t page_size() const override { return kTestPageSize; }

    void begin_index(std::uint64_t index) {
        WalHeader header;
        header.page_size = kTestPageSize;
        header.checkpoint_sequence = static_cast<std::uint32_t>(index);
        const auto bytes = header.encode();
        wal_header_ = Bytes(bytes.begin(), bytes.end());
        previous_end_ = store_.end().offset;
        REQUIRE(store_.begin_index(index, bytes));
    }
    // `frames` frames from frame `first` (1: the first) on, of bytes that do not compress.
    void segment(std::uint64_t index, std::uint64_t first, std::uint64_t frames) {
        const Trailer trailer = trailer_of(index, first, frames);
        auto draft = store_.draft_segment(index, trailer.start_offset);
        REQUIRE(draft);
        Bytes bytes(trailer.end_offset - trailer.start_offset);
        for (std::uint8_t& byte : bytes)
            byte = static_cast<std::uint8_t>((random_ = random_ * 1664525 + 1013904223) >> 24);
        REQUIRE(draft->write(bytes));
        REQUIRE(draft->publish(trailer));
    }
    // Of `pages` pages, at the end of what is stored.
    void set_image(std::uint32_t pages) {
        Trailer trailer;
        trailer.kind = Trailer::Kind::kSnapshot;
        trailer.generation = store_.end().generation;
        trailer.index = store_.end().index;
        trailer.start_offset = trailer.end_offset = store_.end().offset;
        trailer.page_size = kTestPageSize;
        trailer.page_count = pages;
        trailer.commits = {{trailer.end_offset, 77}};
        images_.set(trailer);
    }
    Bytes header_file(std::uint64_t index) const { return stored(store_.end().generation, index, 0); }
    Bytes stored(const std::string& generation, std::uint64_t index, std::uint64_t start) const {
        auto bytes = read_file(store_.file_of({generation, index, start, 0, 0, 0}), 64u << 20);
        REQUIRE(bytes);
        return *std::move(bytes);
    }
    const Bytes& wal_header() const { return wal_header_; }

  private:
    Trailer trailer_of(std::uint64_t index, std::uint64_t first, std::uint64_t frames) const {
        Trailer trailer;
        trailer.generation = store_.generation();
        trailer.index = index;
        trailer.start_offset = at(first - 1);
        trailer.end_offset = at(first - 1 + frames);
        trailer.previous_end = previous_end_;
        trailer.page_size = kTestPageSize;
        trailer.page_count = 1;
        trailer.commits = {{trailer.end_offset, static_cast<std::int64_t>(1000 * index + first)}};
        return trailer;
    }

    const std::string path_;
    SegmentStore store_;
    FakeImages images_;
    Bytes wal_header_;
    std::uint64_t previous_end_ = 0;
    std::uint32_t random_ = 1;
};

// Keeps all that was written. A slow one takes nothing until take() is called.
class FakePeer final : public HttpPeer {
  public:
    FakePeer(IoThread& io, bool is_slow) : io_(io), is_slow_(is_slow) {}

    void write(ByteView bytes, std::function<void(bool)> done) override {
        const auto lock = signal_.lock();
        CHECK_FALSE(done_);
        CHECK_FALSE(is_over_);
        append(written_, bytes);
        largest_ = std::max(largest_, bytes.size());
        done_ = std::move(done);
        if (!is_slow_) io_.post([this] { complete(); });
        signal_.notify();
    }
    void finish() override { set_over(true); }
    void close() override { set_over(false); }
    std::string name() const override { return "127.0.0.1:1"; }

    void take() {
        io_.run([this] { complete(); });
    }
    Bytes wait_for(std::size_t size_bytes) {
        auto lock = signal_.lock();
        signal_.wait(lock, [&] { return written_.size() >= size_bytes; });
        return written_;
    }
    // True: ended cleanly, false: closed.
    bool wait_for_end() {
        auto lock = signal_.lock();
        signal_.wait(lock, [this] { return is_over_; });
        return is_finished_;
    }
    Bytes written() const {
        const auto lock = signal_.lock();
        return written_;
    }
    std::size_t largest() const {
        const auto lock = signal_.lock();
        return largest_;
    }

  private:
    void complete() {
        std::function<void(bool)> done;
        {
            const auto lock = signal_.lock();
            done = std::exchange(done_, nullptr);
        }
        if (done) done(true);
    }
    void set_over(bool is_finished) {
        const auto lock = signal_.lock();
        if (!is_over_) is_finished_ = is_finished;
        is_over_ = true;
        signal_.notify();
    }

    IoThread& io_;
    const bool is_slow_;
    Signal signal_;
    Bytes written_;
    std::size_t largest_ = 0;
    std::function<void(bool)> done_;
    bool is_over_ = false, is_finished_ = false;
};

// A connection from its first byte to its last.
class TestClient {
  public:
    TestClient(IoThread& io, std::shared_ptr<HttpStream> stream, bool is_slow = false)
        : io_(io), peer_(io, is_slow), stream_(std::move(stream)) {
        io_.run([this] { stream_->start(peer_); });
    }
    ~TestClient() {
        io_.run([this] {
            stream_->on_closed();
            stream_.reset();
        });
        peer_.take();  // a write that is still on its way keeps its session
    }
    TestClient(const TestClient&) = delete;
    TestClient& operator=(const TestClient&) = delete;

    FakePeer& peer() { return peer_; }
    void say(ByteView bytes) {
        io_.run([&] { stream_->on_data(bytes); });
    }

  private:
    IoThread& io_;
    FakePeer peer_;
    std::shared_ptr<HttpStream> stream_;
};

struct StreamFixture {
    TempDirectory directory;
    IoThread io;
    Scheduler scheduler{2};
    std::shared_ptr<FakeDatabase> database = std::make_shared<FakeDatabase>(directory.path("app.db"));
    StreamServer server{io, scheduler, [this](const std::string& path) { return find(path); }};

    Result<std::shared_ptr<ServedDatabase>> find(const std::string& path) const {
        if (path == "twice") return Error{ErrorCode::kExists, "several databases are named twice"};
        return std::shared_ptr<ServedDatabase>(path == database->path() ? database : nullptr);
    }
    SegmentStore& store() { return database->store(); }
    void generation(const std::string& name) { REQUIRE(store().begin_generation(name, "a test")); }
    // Index 0 with `frames` segments of one frame each.
    void begin(std::uint64_t frames) {
        generation(kFirst);
        database->begin_index(0);
        for (std::uint64_t frame = 1; frame <= frames; frame++) database->segment(0, frame, 1);
        database->set_image(3);
    }

    HttpReply get(HttpRequest request) {
        HttpReply reply;
        io.run([&] { reply = server.handle(request); });
        return reply;
    }
    HttpRequest request() const {
        HttpRequest request;
        request.method = "GET";
        request.path = "/stream";
        request.query = {{"path", database->path()}};
        request.peer = "127.0.0.1:1";
        return request;
    }
    std::shared_ptr<HttpStream> stream(HttpRequest request) {
        HttpReply reply = get(std::move(request));
        auto* answer = std::get_if<StreamReply>(&reply);
        REQUIRE(answer != nullptr);
        return std::move(answer->stream);
    }
    std::shared_ptr<HttpStream> stream_of_ours() {
        HttpRequest ours = request();
        ours.headers = {{"upgrade", "LibLitestream/1"}};
        return stream(ours);
    }
};

}  // namespace litestream
