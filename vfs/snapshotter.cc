#include "vfs/snapshotter.h"

#include <algorithm>
#include <unordered_map>

#include "shared/base/clock.h"
#include "vfs/shim_file.h"
#include "vfs/shim_vfs.h"
#include "vfs/wal_reader.h"

namespace litestream {

namespace {

constexpr int kPinTries = 200;
constexpr int kCaptureTimeoutMs = 2000;

struct CloseConnection {
    void operator()(sqlite3* connection) const { sqlite3_close(connection); }
};
using Connection = std::unique_ptr<sqlite3, CloseConnection>;

Error busy(const Database& database, const std::string& why) {
    return {ErrorCode::kBusy, database.path() + ": cannot take a snapshot now: " + why};
}

Result<Connection> open_connection(const Database& database) {
    const InternalOpen marked_as_ours;
    sqlite3* raw = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOMUTEX;
    const int rc = sqlite3_open_v2(database.path().c_str(), &raw, flags, "litestream");
    Connection connection(raw);
    if (rc != SQLITE_OK) return busy(database, raw != nullptr ? sqlite3_errmsg(raw) : sqlite3_errstr(rc));
    return connection;
}

// What keeps the database as an image sees it, and the file of the VFS below to read it from.
class Hold {
  public:
    virtual ~Hold() = default;
    virtual sqlite3_file* file() = 0;
    virtual bool must_go() const = 0;  // what was read since may not be the image's
};

// The database as it was when the transaction began. Where the transaction reads from the WAL (READ1..4), no
// checkpoint can overtake it and no restart can take its frames; where it ignores the WAL (READ0), everything
// is in the file, which no checkpoint may write meanwhile (wal.c, walTryBeginRead).
class TransactionHold final : public Hold {
  public:
    explicit TransactionHold(Database& database) : pin_(database) {}
    ~TransactionHold() override {
        if (connection_) sqlite3_exec(connection_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    }

    bool is_granted() const { return pin_.is_granted(); }
    void set_connection(Connection connection) {
        connection_ = std::move(connection);
        pinned_ = pinned_file(connection_.get());
    }
    sqlite3* connection() { return connection_.get(); }
    bool reads_wal() const { return pinned_file(connection_.get()).read_lock > 0; }

    sqlite3_file* file() override { return pinned_.below; }
    bool must_go() const override { return pin_.must_go(); }

  private:
    ImagePin pin_;  // outlives the connection
    Connection connection_;
    PinnedFile pinned_;
};

// The application has EXCLUSIVE, and no transaction of ours is possible: its checkpoints wait instead.
class ExclusiveHold final : public Hold {
  public:
    ExclusiveHold(ExclusiveWal& wal, const ExclusiveWal::Reader& reader, BelowFile file)
        : wal_(wal), reader_(reader), file_(std::move(file)) {}
    ~ExclusiveHold() override { wal_.end_read(reader_); }
    const WalIndexHeader& header() const { return reader_.header; }
    bool is_open() const { return file_ != nullptr; }

    sqlite3_file* file() override { return file_.get(); }
    bool must_go() const override { return !wal_.is_unbroken(reader_); }

  private:
    ExclusiveWal& wal_;
    const ExclusiveWal::Reader reader_;
    const BelowFile file_;
};

class PinnedImage final : public DatabaseImage {
  public:
    PinnedImage(std::unique_ptr<Hold> hold, Trailer trailer)
        : hold_(std::move(hold)), trailer_(std::move(trailer)) {}

    Status index_wal(const std::string& wal_path, std::uint32_t frame_count) {
        LITESTREAM_TRY(wal_.open(wal_path));
        for (std::uint32_t frame_no = 1; frame_no <= frame_count; ++frame_no) {
            LITESTREAM_ASSIGN(const FrameHeader header, wal_.frame_header(frame_no, trailer_.page_size));
            newest_frame_[header.page_no] = frame_no;
        }
        return {};
    }

    const Trailer& trailer() const override { return trailer_; }

    Status read_page(std::uint32_t page_no, ByteSpan page) override {
        const Status read = read_newest(page_no, page);
        if (!hold_->must_go()) return read;
        return Error{ErrorCode::kBusy, trailer_.end().to_string() +
                                           ": the snapshot gave way to an exclusive lock or a new WAL"};
    }

  private:
    Status read_newest(std::uint32_t page_no, ByteSpan page) {
        const auto newest = newest_frame_.find(page_no);
        if (newest != newest_frame_.end()) return wal_.read_page(newest->second, trailer_.page_size, page);
        const auto offset = static_cast<sqlite3_int64>(page_no - 1) * trailer_.page_size;
        // A page behind the end of the file that no frame holds was never written: zeros, which SQLite fills
        // in.
        sqlite3_file* file = hold_->file();
        const int rc = file->pMethods->xRead(file, page.data(), static_cast<int>(page.size()), offset);
        if (rc == SQLITE_OK || rc == SQLITE_IOERR_SHORT_READ) return {};
        return Error{ErrorCode::kIo, trailer_.end().to_string() + ": cannot read page " +
                                         std::to_string(page_no) + ": " + sqlite3_errstr(rc)};
    }

    std::unique_ptr<Hold> hold_;
    Trailer trailer_;
    WalReader wal_;
    std::unordered_map<std::uint32_t, std::uint32_t> newest_frame_;  // by page number
};

// Of a live replica: what its upstream calls this moment.
Result<Trailer> trailer_of_replica(const Database& database, const WalIndexHeader& header) {
    const auto state = database.applied_at(header);
    if (!state) return busy(database, "what it was at that moment is not known any more");
    Trailer trailer;
    trailer.kind = Trailer::Kind::kSnapshot;
    trailer.generation = state->position.generation;
    trailer.index = state->position.index;
    trailer.start_offset = trailer.end_offset = state->position.offset;
    trailer.end_checksum = state->chain;
    if (state->has_header) trailer.salts = state->header.salts;
    trailer.page_size = header.page_size;
    trailer.page_count = header.page_count;
    trailer.commits = {{state->position.offset, state->time_ms != 0 ? state->time_ms : wall_clock_ms()}};
    return trailer;
}

// What the wal-index header of the pinned moment is as a position. kBusy: capture does not know (any more).
Result<Trailer> trailer_of(const Database& database, const WalIndexHeader& header) {
    if (database.is_replica()) return trailer_of_replica(database, header);
    CapturedLife current;
    CapturedLife previous;
    database.captured_lives(current, previous);
    Trailer trailer;
    trailer.kind = Trailer::Kind::kSnapshot;
    trailer.page_size = header.page_size;
    trailer.page_count = header.page_count;
    const auto fill = [&](const CapturedLife& life, std::uint64_t offset) {
        trailer.generation = life.end.generation;
        trailer.predecessor = life.predecessor;
        trailer.index = life.end.index;
        trailer.start_offset = trailer.end_offset = offset;
        trailer.previous_end = life.previous_end;
        trailer.previous_checksum = life.previous_checksum;
        trailer.salts = life.salts;
        // Where capture is further on and has framed anew, the checksum at this point is not known.
        if (offset == life.end.offset) {
            trailer.end_checksum = life.chain;
        } else if (!life.is_reframed) {
            trailer.end_checksum = header.frame_checksum;
        }
        trailer.commits = {{offset, wall_clock_ms()}};
        return trailer;
    };
    for (const CapturedLife* life : {&current, &previous}) {
        if (!life->is_known) continue;
        const bool in_life =
            header.frame_count > 0 && header.salts == life->salts && life->frames >= header.frame_count;
        if (in_life) return fill(*life, wal_size(header.frame_count, header.page_size));
        if (header.frame_count == 0 && header.change == life->change) return fill(*life, life->end.offset);
    }
    return busy(database, "its position is not captured yet");
}

Status exec(sqlite3* connection, const Database& database, const char* sql) {
    if (sqlite3_exec(connection, sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
    return busy(database, sqlite3_errmsg(connection));
}

// A read transaction and the wal-index header of its moment: equal before and after, it stood still.
Result<WalIndexHeader> begin_read(sqlite3* connection, const Database& database) {
    for (int i = 0; i < kPinTries; ++i) {
        const auto before = database.wal_index_header();
        LITESTREAM_TRY(exec(connection, database, "BEGIN; SELECT count(*) FROM sqlite_master"));
        const auto after = database.wal_index_header();
        if (before && before == after) return *after;
        LITESTREAM_TRY(exec(connection, database, "ROLLBACK"));
    }
    return busy(database, "it changes too fast");
}

// The database's size, where the wal-index has not seen a commit yet, is that of the file.
Status complete_size(sqlite3* connection, Trailer& trailer) {
    sqlite3_stmt* statement = nullptr;
    const auto ask = [&](const char* sql) {
        std::uint32_t value = 0;
        if (sqlite3_prepare_v2(connection, sql, -1, &statement, nullptr) == SQLITE_OK &&
            sqlite3_step(statement) == SQLITE_ROW) {
            value = static_cast<std::uint32_t>(sqlite3_column_int64(statement, 0));
        }
        sqlite3_finalize(statement);
        return value;
    };
    trailer.page_size = ask("PRAGMA page_size");
    trailer.page_count = ask("PRAGMA page_count");
    if (!is_page_size(trailer.page_size) || trailer.page_count == 0) {
        return Error{ErrorCode::kBusy, "the database has no pages yet"};
    }
    return {};
}

// The same, where only the file itself can be asked.
Status complete_size(sqlite3_file* file, ByteView first_bytes, Trailer& trailer) {
    sqlite3_int64 size = 0;
    if (first_bytes.size() < 18 || file->pMethods->xFileSize(file, &size) != SQLITE_OK) {
        return Error{ErrorCode::kBusy, "the database has no pages yet"};
    }
    trailer.page_size = load_page_size(first_bytes.data() + kPageSizeAt);
    if (!is_page_size(trailer.page_size)) return corrupt("the database file's header has no valid page size");
    trailer.page_count = static_cast<std::uint32_t>(size / trailer.page_size);
    return {};
}

using Image = Result<std::unique_ptr<DatabaseImage>>;

Image pin_transaction(Database& database) {
    auto hold = std::make_unique<TransactionHold>(database);
    if (!hold->is_granted()) return busy(database, "its mode is being changed");
    LITESTREAM_ASSIGN(Connection connection, open_connection(database));
    LITESTREAM_ASSIGN(const WalIndexHeader header, begin_read(connection.get(), database));
    hold->set_connection(std::move(connection));
    if (!database.is_replica()) database.wait_captured(kCaptureTimeoutMs);
    LITESTREAM_ASSIGN(Trailer trailer, trailer_of(database, header));
    LITESTREAM_TRY(complete_size(hold->connection(), trailer));
    const bool reads_wal = hold->reads_wal();
    auto image = std::make_unique<PinnedImage>(std::move(hold), std::move(trailer));
    if (reads_wal) LITESTREAM_TRY(image->index_wal(database.wal_path(), header.frame_count));
    return std::unique_ptr<DatabaseImage>(std::move(image));
}

Image pin_exclusive(Database& database) {
    const auto reader = database.exclusive().begin_read();
    if (!reader) return busy(database, "it is in exclusive locking mode, and nothing was committed yet");
    auto hold = std::make_unique<ExclusiveHold>(database.exclusive(), *reader, open_below(database.path()));
    if (!hold->is_open()) return busy(database, "its file cannot be opened once more");
    const WalIndexHeader header = hold->header();
    database.wait_captured(kCaptureTimeoutMs);
    LITESTREAM_ASSIGN(Trailer trailer, trailer_of(database, header));
    if (header.frame_count == 0) {
        LITESTREAM_TRY(complete_size(hold->file(), read_first_bytes(hold->file()), trailer));
    }
    auto image = std::make_unique<PinnedImage>(std::move(hold), std::move(trailer));
    LITESTREAM_TRY(image->index_wal(database.wal_path(), header.frame_count));
    return std::unique_ptr<DatabaseImage>(std::move(image));
}

}  // namespace

Result<std::unique_ptr<DatabaseImage>> Snapshotter::pin() {
    // Not in WAL mode: to look would take locks that are in the application's way, unless it has left.
    const bool is_seen = database_.is_mapped() || database_.is_closing() || database_.is_replica();
    if (!is_seen) return busy(database_, "its WAL is not open");
    if (database_.exclusive().kind() != ExclusiveWal::Kind::kNone) return pin_exclusive(database_);
    return pin_transaction(database_);
}

}  // namespace litestream
