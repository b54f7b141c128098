#include "shared/stream/stream_session.h"

#include <algorithm>
#include <utility>

#include "shared/base/clock.h"
#include "shared/base/random.h"
#include "shared/format/lz4.h"
#include "shared/format/stream_record.h"

namespace litestream {
namespace {

// The pages of a spooled snapshot.
class PageSource final : public Source {
  public:
    explicit PageSource(File file) : file_(std::move(file)), lz4_(file_) {}
    Result<std::size_t> read(ByteSpan buffer) override { return lz4_.read(buffer); }

  private:
    FileSource file_;
    Lz4Reader lz4_;
};

}  // namespace

StreamSession::StreamSession(std::shared_ptr<StreamHub> hub, std::shared_ptr<ServedDatabase> database,
                             std::string peer, bool is_ours, std::optional<Position> resume)
    : hub_(std::move(hub)),
      database_(std::move(database)),
      path_(database_->path()),
      is_ours_(is_ours),
      resume_(std::move(resume)),
      state_(is_ours ? State::kWaitsForHello : State::kWaitsForSnapshot),
      cursor_name_("stream-" + random_hex(8)),
      silence_(hub_->io, [this] { close(); }),
      heartbeat_(hub_->io, [this] { send_heartbeat(); }) {
    StreamInfo info;
    info.database = path_;
    info.peer = std::move(peer);
    info.connected_ms = wall_clock_ms();
    info.is_ours = is_ours_;
    board_id_ = hub_->board.add(std::move(info), database_->store());
}

StreamSession::~StreamSession() { let_go(); }

void StreamSession::start(HttpPeer& peer) {
    peer_ = &peer;
    if (state_ == State::kClosed) return peer.close();
    subscribe();
    if (is_ours_) {
        silence_.start(hub_->times.hello_ms);
    } else if (resume_) {
        walk_ = std::make_unique<SegmentWalk>(database_->store(), *resume_);
        state_ = State::kSendsSegments;
    } else {
        request_snapshot();
    }
    pump();
}

void StreamSession::on_closed() {
    peer_ = nullptr;
    let_go();
}

void StreamSession::close() {
    let_go();
    if (peer_ != nullptr) peer_->close();
}

void StreamSession::let_go() {
    state_ = State::kClosed;
    if (!database_) return;
    silence_.stop();
    heartbeat_.stop();
    hub_->board.remove(board_id_);
    if (snapshot_id_ != 0) hub_->snapshots->cancel(std::exchange(snapshot_id_, 0));
    SegmentStore& store = database_->store();
    if (subscription_ != 0) store.unsubscribe(subscription_);
    if (has_cursor_) store.release_cursor(cursor_name_);
    walk_.reset();
    spool_.reset();
    payload_.reset();
    database_.reset();
}

// On the capture thread a busy session costs one look at a flag. A session is not locked there: this thread
// must not become its last owner.
void StreamSession::subscribe() {
    subscription_ =
        database_->store().subscribe([&io = hub_->io, sleeps = sleeps_, session = weak_from_this()] {
            if (!sleeps->exchange(false)) return;
            io.post([session] {
                if (const auto alive = session.lock()) alive->pump();
            });
        });
}

// --- What the client says ---

void StreamSession::on_data(ByteView bytes) {
    const auto keeps_this = shared_from_this();
    if (!is_ours_ || state_ == State::kClosed) return;
    if (state_ == State::kWaitsForHello && (bytes_before_hello_ += bytes.size()) > kMaxBytesBeforeHello) {
        return close();
    }
    in_.insert(in_.end(), bytes.begin(), bytes.end());
    ByteView rest = in_;
    while (rest.size() >= kMessageHeaderSize) {
        const auto header = MessageHeader::decode(rest.first(kMessageHeaderSize));
        if (!header) return close();
        if (header->size_bytes > kMaxBytesBeforeHello) return close();  // none of a client's is that long
        const auto size = static_cast<std::size_t>(header->size_bytes);
        if (rest.size() < kMessageHeaderSize + size) break;
        if (!take_message(*header, rest.subspan(kMessageHeaderSize, size))) return close();
        rest = rest.subspan(kMessageHeaderSize + size);
    }
    in_ = Bytes(rest.begin(), rest.end());
    if (state_ != State::kWaitsForHello) silence_.start(hub_->times.silence_ms);
    pump();
}

// False: not what a client may say now.
bool StreamSession::take_message(const MessageHeader& header, ByteView body) {
    if (header.type == MessageType::kAlive) return true;
    if (header.type == MessageType::kHello) return state_ == State::kWaitsForHello && take_hello(body);
    return header.type == MessageType::kAck && state_ != State::kWaitsForHello && take_ack(body);
}

bool StreamSession::take_hello(ByteView body) {
    const auto hello = Hello::decode(body);
    if (!hello) return false;
    SegmentStore& store = database_->store();
    Welcome welcome{wall_clock_ms(), store.end(), database_->page_size(), false};
    // A live replica that serves may be behind who follows it: a snapshot would take that one's readers back.
    if (welcome.end.generation == hello->position.generation && welcome.end.before(hello->position)) {
        end("this server is only at " + welcome.end.to_string() + " yet; try again later");
        return true;
    }
    welcome.sends_snapshot = !can_resume(store, hello->position);
    append(welcome.encode());
    if (welcome.sends_snapshot) {
        request_snapshot();
    } else {
        applied_ = hello->position;
        walk_ = std::make_unique<SegmentWalk>(store, hello->position);
        state_ = State::kSendsSegments;
        report();
    }
    return true;
}

bool StreamSession::take_ack(ByteView body) {
    auto ack = Ack::decode(body);
    if (!ack) return false;
    applied_ = std::move(ack->applied);
    report();
    hub_->board.tell_ack(path_, applied_);
    return state_ != State::kClosed;  // the listener may have ended it all
}

void StreamSession::report() {
    const Position sent = walk_ ? walk_->position() : Position();
    hub_->board.update(board_id_, is_ours_ ? applied_ : sent, commit_ms_, sent_bytes_);
}

// --- The snapshot ---

// From here until the client has caught up the store keeps what follows the snapshot, within its cap: the
// end of now is not behind the position that the snapshot will have.
void StreamSession::request_snapshot() {
    state_ = State::kWaitsForSnapshot;
    database_->store().set_cursor(cursor_name_, database_->store().end());
    has_cursor_ = true;
    snapshot_id_ = hub_->snapshots->add(database_, [session = weak_from_this()](Result<SnapshotSpool> spool) {
        if (const auto alive = session.lock()) alive->take_snapshot(std::move(spool));
    });
}

void StreamSession::take_snapshot(Result<SnapshotSpool> spool) {
    snapshot_id_ = 0;
    if (state_ != State::kWaitsForSnapshot) return;
    if (!spool) {
        if (is_writing_)
            return close();  // a heartbeat, and the client is slow: nothing can be said behind it
        end("cannot take a snapshot: " + spool.error().message);
        return pump();
    }
    spool_ = *std::move(spool);
    database_->store().set_cursor(cursor_name_, spool_->position());
    walk_ = std::make_unique<SegmentWalk>(database_->store(), spool_->position());
    state_ = State::kSendsSegments;
    pump();
}

void StreamSession::begin_snapshot() {
    const Position position = spool_->position();
    commit_ms_ = spool_->trailer.commits.empty() ? 0 : spool_->trailer.commits.back().time_ms;
    if (is_ours_) {
        const std::uint64_t size = 4 + spool_->wal_header.size() + spool_->size_bytes;
        MessageHeader{MessageType::kSnapshot, size}.append_to(out_);
        std::uint8_t header_size[4];
        store_be32(header_size, static_cast<std::uint32_t>(spool_->wal_header.size()));
        append(header_size);
        append(spool_->wal_header);
        payload_left_ = spool_->size_bytes;
        payload_ = std::make_unique<FileSource>(std::move(spool_->file));
    } else {
        const Position start{position.generation, position.index, 0};
        payload_left_ = spool_->database_bytes();
        append(StreamRecord{StreamRecord::Type::kSnapshot, start, payload_left_}.encode());
        payload_ = std::make_unique<PageSource>(std::move(spool_->file));
    }
    spool_.reset();
}

// --- Writing ---

void StreamSession::pump() {
    if (is_writing_ || state_ == State::kClosed || peer_ == nullptr) return;
    gather();
    if (state_ == State::kClosed) return;
    if (out_.empty()) {
        if (state_ == State::kEnding) peer_->finish();
        return;
    }
    is_writing_ = true;
    heartbeat_.stop();
    peer_->write(out_, [self = shared_from_this()](bool is_taken) { self->on_written(is_taken); });
}

void StreamSession::on_written(bool is_taken) {
    is_writing_ = false;
    sent_bytes_ += is_taken ? out_.size() : 0;
    out_.clear();
    if (!is_taken || state_ == State::kClosed) return;
    report();
    if (is_ours_) heartbeat_.start(hub_->times.heartbeat_ms);
    pump();
}

void StreamSession::gather() {
    if (no_snapshot_ && state_ == State::kWaitsForSnapshot) {
        end("cannot take a snapshot: " + no_snapshot_->message);
    }
    Step step = Step::kMore;
    while (step == Step::kMore && state_ == State::kSendsSegments && out_.size() < kStreamWriteBytes) {
        if (payload_) {
            step = copy_payload();
        } else if (spool_) {
            begin_snapshot();
        } else {
            step = next_segment();
        }
    }
}

StreamSession::Step StreamSession::copy_payload() {
    const std::size_t begin = out_.size();
    const std::size_t room = kStreamWriteBytes - begin;
    out_.resize(begin + static_cast<std::size_t>(std::min<std::uint64_t>(room, payload_left_)));
    const auto count = payload_->read(ByteSpan(out_).subspan(begin));
    if (!count || *count == 0) {
        // In the middle of a payload nothing else can be said.
        close();
        return Step::kNothing;
    }
    out_.resize(begin + *count);
    payload_left_ -= *count;
    if (payload_left_ == 0) payload_.reset();
    return Step::kMore;
}

// What is stored after the flag is set wakes the session, what was stored before is found by the second look.
StreamSession::Step StreamSession::next_segment() {
    *sleeps_ = false;
    if (try_next_segment() == Step::kMore) return Step::kMore;
    if (state_ != State::kSendsSegments) return Step::kNothing;
    *sleeps_ = true;
    return try_next_segment();
}

StreamSession::Step StreamSession::try_next_segment() {
    SegmentStore& store = database_->store();
    // Asked first: a generation gets nothing more once the next one has begun.
    const std::string generation = store.generation();
    auto item = walk_->next();
    if (!item) {
        end(item.error().message);
    } else if (item->has_value()) {
        begin_segment(**std::move(item));
        return Step::kMore;
    } else if (!generation.empty() && generation != walk_->position().generation) {
        end("a new generation began: " + generation + " (" + store.generation_reason() + ")");
    } else if (std::exchange(has_cursor_, false)) {
        store.release_cursor(cursor_name_);
    }
    return Step::kNothing;
}

void StreamSession::begin_segment(SegmentWalk::Item item) {
    if (has_cursor_) database_->store().set_cursor(cursor_name_, item.end);
    if (item.time_ms != 0) commit_ms_ = item.time_ms;
    if (is_ours_) {
        MessageHeader{MessageType::kSegment, kPositionSize + item.size_bytes}.append_to(out_);
        append_position(out_, item.start);
    } else {
        append(StreamRecord{StreamRecord::Type::kSegment, item.start, item.size_bytes}.encode());
    }
    payload_left_ = item.size_bytes;
    payload_ = std::make_unique<FileSource>(std::move(item.file));
}

// Between two writes all that was begun is out, but for a payload that goes on, which pump() takes up.
void StreamSession::send_heartbeat() {
    if (is_writing_ || !database_ || state_ == State::kEnding || payload_) return;
    append(Heartbeat{wall_clock_ms(), database_->store().end()}.encode());
    pump();
}

// An e6f7c60 client is told by the end alone.
void StreamSession::end(const std::string& why) {
    if (is_ours_) append(encode_error(why));
    state_ = State::kEnding;
}

}  // namespace litestream
