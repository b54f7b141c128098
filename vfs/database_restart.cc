// The gate: whether the WAL may begin anew, and the marks that prove what came before.
#include <thread>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "vfs/database.h"
#include "vfs/wal_marks.h"

namespace litestream {

namespace {

constexpr auto kAskHolder = std::chrono::microseconds(500);

}  // namespace

bool Database::is_captured_by_holder(const WalIndexHeader& header) const {
    if (header.frame_count == 0) return true;
    const auto mark = read_wal_mark(store_.path(), WalMarkKind::kCaptured);
    return mark && mark->is_of(header);
}

// The caller holds WRITE, so that the header stands still.
bool Database::may_restart() {
    if (!wants_capture_.load()) return true;
    const auto header = wal_index_header();
    if (!header || header->frame_count == 0 || is_captured(*header)) return true;
    if (is_standing_by() && is_captured_by_holder(*header)) return true;
    ring();
    return wal_size(header->frame_count, header->page_size) > gate_limit_bytes_.load();
}

// Standing by, nobody tells when the holder has captured more: it is asked again and again, for as long as
// drain() waits.
bool Database::may_reset() {
    if (!is_standing_by()) return drain();
    const auto header = wal_index_header();
    if (!header) return true;
    const std::int64_t deadline_ms = steady_clock_ms() + kDrainMs;
    while (!is_captured_by_holder(*header)) {
        if (steady_clock_ms() > deadline_ms) return false;
        std::this_thread::sleep_for(kAskHolder);
    }
    return true;
}

// Where the database is, if all of it is captured.
std::optional<Position> Database::captured_position(const WalIndexHeader& header) const {
    if (is_standing_by() || header.frame_count == 0) {
        // Also the process that captures says no more than its change count of a WAL without frames.
        const auto kind = header.frame_count == 0 ? WalMarkKind::kRestarted : WalMarkKind::kCaptured;
        const auto mark = read_wal_mark(store_.path(), kind);
        if (mark && mark->is_of(header)) return mark->position;
    }
    const std::lock_guard lock(state_mutex_);
    return is_captured(header) ? std::optional(current_.end) : std::nullopt;
}

void Database::on_restart_granted() {
    if (!wants_capture_.load()) return;
    const auto header = wal_index_header();
    auto position = header ? captured_position(*header) : std::nullopt;
    const std::lock_guard lock(state_mutex_);
    restarts_at_ = std::move(position);
}

// Where it did. A handle that holds WRITE and CKPT asks: the header stands still.
std::optional<Position> Database::restarted_at(const WalIndexHeader& header) const {
    const std::lock_guard lock(state_mutex_);
    return header.frame_count == 0 ? restarts_at_ : std::nullopt;
}

// A process that dies from here on leaves the WAL with all its frames, or one that is empty beside a database
// file that is what is noted now: WRITE and CKPT, which go with it, kept everybody from writing to it. What
// others write later shows in its change time.
void Database::on_wal_cut(Bytes first_bytes) {
    const auto header = wal_index_header();
    auto position = header ? restarted_at(*header) : std::nullopt;
    const auto mode = file_mode();
    if (!position || !mode) return;
    mark_restart(*position, header->salts);
    const Rest rest{*std::move(position), std::move(first_bytes)};
    const Status noted = write_rest(store_.path(), RestKind::kAtRest, path_, rest, *mode);
    if (!noted) log_line("litestream: rest not noted: " + noted.error().message);
}

void Database::on_restarted() {
    const auto header = wal_index_header();
    if (const auto position = header ? restarted_at(*header) : std::nullopt) {
        mark_restart(*position, header->salts);
    }
    const std::lock_guard lock(state_mutex_);
    restarts_at_.reset();
}

// A connection that never did so before draws new salts (wal.c, sqlite3WalFrames): the mark goes with them.
void Database::on_wal_begins(ByteView header_bytes) {
    if (!wants_capture_.load()) return;
    const auto begun = WalHeader::decode(header_bytes);
    const auto header = wal_index_header();
    if (!begun || !header || header->frame_count != 0) return;
    const auto mark = read_wal_mark(store_.path(), WalMarkKind::kRestarted);
    if (mark && mark->salts == begun->salts) return;
    if (const auto position = captured_position(*header)) mark_restart(*position, begun->salts);
}

// Without the mark a kill -9 may cost a generation, and nothing else.
void Database::mark_restart(const Position& position, const Salts& salts) {
    if (position.generation.empty() || salts == Salts{}) return;
    const auto mode = file_mode();
    if (!mode) return;
    auto file = WalMarkFile::open(store_.path(), WalMarkKind::kRestarted, *mode);
    const Status marked = file ? file->write({position, salts, 0, {}}) : file.error();
    if (!marked) log_line("litestream: WAL restart not noted: " + marked.error().message);
}

}  // namespace litestream
