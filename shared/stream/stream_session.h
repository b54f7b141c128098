// StreamSession: one client of GET /stream, from the header of the answer to the end of the connection.
//
//   liblitestream/1:  waits for hello -> [waits for a snapshot -> sends it] -> sends segments -> ending
//   e6f7c60:                             [waits for a snapshot -> sends it] -> sends segments -> ending
//
// One write is on its way at a time, of at most 256 KiB gathered from one or more stored files; the next one
// is put together when it is done. With nothing to send the session sleeps: the store's subscriber, which
// runs on the capture thread, posts only to a session that does.
//
// Thread-bound to the I/O thread. Whatever has been posted keeps a session alive; close() makes it let go of
// the database at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "shared/base/stream.h"
#include "shared/format/stream_message.h"
#include "shared/net/http_server.h"
#include "shared/net/io_thread.h"
#include "shared/stream/segment_walk.h"
#include "shared/stream/snapshot_queue.h"
#include "shared/stream/stream_board.h"

namespace litestream {

constexpr std::size_t kStreamWriteBytes = 256u << 10;
constexpr std::size_t kMaxBytesBeforeHello = 1u << 10;

struct StreamTimes {
    std::int64_t hello_ms = 10'000;      // from the start of the connection
    std::int64_t silence_ms = 60'000;    // of a client of ours, which shows every 15 s that it lives
    std::int64_t heartbeat_ms = 15'000;  // after the last write
};

// What the sessions of a server have in common.
struct StreamHub {
    explicit StreamHub(IoThread& thread) : io(thread) {}

    IoThread& io;
    StreamBoard board;
    std::shared_ptr<SnapshotQueue> snapshots;
    StreamTimes times;
};

class StreamSession final : public HttpStream, public std::enable_shared_from_this<StreamSession> {
  public:
    // `is_ours`: speaks liblitestream/1 and says itself where it is. `resume`: else where the client goes on;
    // nullopt: with a snapshot.
    StreamSession(std::shared_ptr<StreamHub> hub, std::shared_ptr<ServedDatabase> database, std::string peer,
                  bool is_ours, std::optional<Position> resume);
    ~StreamSession() override;

    void start(HttpPeer& peer) override;
    void on_data(ByteView bytes) override;
    void on_closed() override;

    // Ends the connection, if there is one already; nothing refers to the database from here on.
    void close();
    const std::string& database_path() const { return path_; }

  private:
    enum class State : std::uint8_t {
        kWaitsForHello,
        kWaitsForSnapshot,
        kSendsSegments,  // or what is left of the snapshot
        kEnding,         // the last bytes are on their way
        kClosed,
    };
    enum class Step : std::uint8_t { kMore, kNothing };

    void let_go();
    void subscribe();

    // What the client says.
    bool take_message(const MessageHeader& header, ByteView body);
    bool take_hello(ByteView body);
    bool take_ack(ByteView body);

    // What it is sent.
    void request_snapshot();
    void take_snapshot(Result<SnapshotSpool> spool);
    void begin_snapshot();
    void pump();
    void on_written(bool is_taken);
    void gather();
    Step copy_payload();
    Step next_segment();
    Step try_next_segment();
    void begin_segment(SegmentWalk::Item item);
    void append(ByteView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
    void send_heartbeat();
    void end(const std::string& why);  // between messages only
    void report();

    const std::shared_ptr<StreamHub> hub_;
    std::shared_ptr<ServedDatabase> database_;  // null once closed
    const std::string path_;
    const bool is_ours_;
    const std::optional<Position> resume_;
    HttpPeer* peer_ = nullptr;  // from start() to on_closed()
    State state_;

    std::uint64_t board_id_ = 0;
    std::string cursor_name_;
    bool has_cursor_ = false;
    std::uint64_t snapshot_id_ = 0;  // 0: none is being made
    int subscription_ = 0;           // 0: none
    // Set by the session when it finds nothing to send, cleared by whoever wakes it.
    const std::shared_ptr<std::atomic<bool>> sleeps_ = std::make_shared<std::atomic<bool>>(false);

    Bytes in_;  // an unfinished message of the client
    std::size_t bytes_before_hello_ = 0;
    Position applied_;

    std::optional<SnapshotSpool> spool_;
    std::optional<Error> no_snapshot_;  // why there is none
    std::unique_ptr<SegmentWalk> walk_;
    std::unique_ptr<Source> payload_;  // of the message or record that is being sent
    std::uint64_t payload_left_ = 0;
    Bytes out_;
    bool is_writing_ = false;
    std::uint64_t sent_bytes_ = 0;
    std::int64_t commit_ms_ = 0;

    IoThread::Timer silence_;
    IoThread::Timer heartbeat_;
};

}  // namespace litestream
