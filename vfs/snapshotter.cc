#include "vfs/snapshotter.h"

#include <algorithm>
#include <unordered_map>

#include "shared/base/clock.h"
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

// The database as it was when the transaction began. Where the transaction reads from the WAL (READ1..4), no
// checkpoint can overtake it and no restart can take its frames; where it ignores the WAL (READ0), everything
// is in the file, which no checkpoint may write meanwhile (wal.c, walTryBeginRead).
class PinnedImage final : public DatabaseImage {
  public:
    PinnedImage(Connection connection, sqlite3_file* file, Trailer trailer)
        : connection_(std::move(connection)), file_(file), trailer_(std::move(trailer)) {}

    ~PinnedImage() override { sqlite3_exec(connection_.get(), "ROLLBACK", nullptr, nullptr, nullptr); }

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
        const auto newest = newest_frame_.find(page_no);
        if (newest != newest_frame_.end()) return wal_.read_page(newest->second, trailer_.page_size, page);
        const auto offset = static_cast<sqlite3_int64>(page_no - 1) * trailer_.page_size;
        // A page behind the end of the file that no frame holds was never written: zeros, which SQLite fills
        // in.
        const int rc = file_->pMethods->xRead(file_, page.data(), static_cast<int>(page.size()), offset);
        if (rc == SQLITE_OK || rc == SQLITE_IOERR_SHORT_READ) return {};
        return Error{ErrorCode::kIo, trailer_.end().to_string() + ": cannot read page " +
                                         std::to_string(page_no) + ": " + sqlite3_errstr(rc)};
    }

  private:
    Connection connection_;
    sqlite3_file* const file_;  // of the VFS below; lives as long as the connection
    Trailer trailer_;
    WalReader wal_;
    std::unordered_map<std::uint32_t, std::uint32_t> newest_frame_;  // by page number
};

// What the wal-index header of the pinned moment is as a position. kBusy: capture does not know (any more).
Result<Trailer> trailer_of(const Database& database, const WalIndexHeader& header) {
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

}  // namespace

Result<std::unique_ptr<DatabaseImage>> Snapshotter::pin() {
    LITESTREAM_ASSIGN(Connection connection, open_connection(database_));
    LITESTREAM_ASSIGN(const WalIndexHeader header, begin_read(connection.get(), database_));
    database_.wait_captured(kCaptureTimeoutMs);
    LITESTREAM_ASSIGN(Trailer trailer, trailer_of(database_, header));
    LITESTREAM_TRY(complete_size(connection.get(), trailer));
    const PinnedFile pinned = pinned_file(connection.get());
    auto image = std::make_unique<PinnedImage>(std::move(connection), pinned.below, std::move(trailer));
    if (pinned.read_lock > 0) LITESTREAM_TRY(image->index_wal(database_.wal_path(), header.frame_count));
    return std::unique_ptr<DatabaseImage>(std::move(image));
}

}  // namespace litestream
