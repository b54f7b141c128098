// Capture beside other processes: which one captures, what happens when it ends, and how commits are noticed
// that ring no bell here.
#include <algorithm>

#include "shared/base/clock.h"
#include "vfs/capture.h"
#include "vfs/reset_guard.h"

namespace litestream {

namespace {

constexpr std::int64_t kStandByMs = 1000;
constexpr std::int64_t kExpectMs = 30'000;
constexpr int kEagerLooks = 64;

}  // namespace

// Asked at every look: the meta directory may have been removed or replaced meanwhile, or the lock dropped
// because somebody in this process closed a descriptor of its file. Then nothing remembered here counts.
Result<bool> Capture::take_lock() {
    if (lock_.is_held()) return true;
    if (started_) {
        started_ = false;
        has_lost_store_ = true;
        evidence_.reset();
        database_.store().close();
    }
    LITESTREAM_ASSIGN(const unsigned mode, database_.file_mode());
    LITESTREAM_ASSIGN(const bool taken, lock_.try_take(database_.store().path(), mode));
    if (taken) database_.end_stand_by(has_lost_store_);
    return taken;
}

void Capture::end() {
    end_expecting();
    lock_.release();
}

// The kernel closes the lock's file when the holder ends. False: it is watched only now, and the holder may
// have ended before.
bool Capture::watches_holder() {
    if (is_holder_watched_) return true;
    is_holder_watched_ = true;
    const std::string lock = CaptureLock::path_in(database_.store().path());
    return !database_.watch(lock, FileWatch::Event::kClosedByWriter);
}

// Somebody wrote to the WAL. If it is another process, its commit may be in the database and gone from the
// WAL before it was read here: not while the guard holds.
void Capture::begin_to_expect() {
    if (database_.take_touch()) {
        expected_until_ms_ = steady_clock_ms() + kExpectMs;
        expecting_looks_ = 0;
    }
    if (expected_until_ms_ == 0 || !started_) return;
    const auto header = database_.wal_index_header();
    if (!header || database_.is_writing()) return;
    if (database_.is_change_of_others(header->change) || is_more_in_wal(header->salts, header->frame_count)) {
        database_.reset_guard().hold(database_.path());
    }
}

// A commit of another process is public a moment, or an fsync, after its frames are written, and then nothing
// rings: it is looked for as long as the WAL holds more than is committed, in every nap at first, then ever
// less often. Frames that were rolled back stay; the time limit ends it.
void Capture::expect_commit() {
    if (expected_until_ms_ == 0) return;
    const std::int64_t now_ms = steady_clock_ms();
    if (now_ms > expected_until_ms_ || !is_more_in_wal(life_.salts, life_.frames)) {
        end_expecting();
    } else if (++expecting_looks_ < kEagerLooks) {
        database_.ring();
    } else {
        const int doublings = std::min((expecting_looks_ - kEagerLooks) / 2, 10);
        retry_ms_ = now_ms + (std::int64_t{1} << doublings);
    }
}

void Capture::end_expecting() {
    expected_until_ms_ = 0;
    database_.reset_guard().release();
}

// Than these frames of this life. With one handle alone there are no others.
bool Capture::is_more_in_wal(const Salts& salts, std::uint32_t frames) const {
    const bool is_alone = database_.exclusive().kind() != ExclusiveWal::Kind::kNone;
    if (!started_ || !wal_.is_open() || is_alone) return false;
    const auto header = wal_.header();
    if (!header) return false;
    if (header->salts != salts) return true;
    const auto next = wal_.frame_header(frames + 1, header->page_size);
    return next && next->salts == salts;
}

// The holder captures this process's commits at its next look. Should it end before, they are captured here.
void Capture::stand_by(const WalIndexHeader& header) {
    const bool has_written = database_.take_written();
    database_.stand_by(lock_.holder_text());
    if (!has_written || database_.is_captured_by_holder(header)) return;
    database_.put_back_written();
    retry_ms_ = steady_clock_ms() + kStandByMs;
}

}  // namespace litestream
