// What a database does while one handle has it for itself, and how images give way to such a handle.
#include <chrono>

#include "shared/base/log.h"
#include "vfs/database.h"

namespace litestream {

using Kind = ExclusiveWal::Kind;

void Database::on_exclusive_lock() {
    exclusive_.forbid_readers();
    if (exclusive_.kind() != Kind::kNone) return;
    if (const auto header = mapped_header()) exclusive_.begin_shared(*header);
}

void Database::on_heap_wal_open() {
    auto recovered = scan_wal(wal_path());
    if (!recovered) {
        log_line("litestream: " + path_ + ": not captured: " + recovered.error().message);
        return;
    }
    exclusive_.begin_heap(*recovered);
    ring();
}

// In rollback mode there is nothing to publish.
void Database::on_exclusive_commit() {
    if (exclusive_.kind() == Kind::kHeap) {
        exclusive_.publish_candidate();
    } else if (const auto header = mapped_header()) {
        exclusive_.publish_shared(*header);
    } else {
        return;
    }
    if (const auto target = exclusive_.target()) on_write_unlock(target->change);
}

void Database::on_wal_reset(ByteView header) {
    wal_deleted_.store(false);
    if (exclusive_.kind() == Kind::kNone) return;
    drain();
    const auto decoded = WalHeader::decode(header);
    if (decoded && is_drained_.load()) mark_restart(store_.end(), decoded->salts);
    exclusive_.reset(decoded ? &*decoded : nullptr);
    ring();
}

// journal_size_limit cuts off what lies behind the last commit; a TRUNCATE checkpoint everything.
void Database::on_wal_truncate(std::uint64_t size_bytes) {
    const auto target = exclusive_.target();
    if (!target || size_bytes >= wal_size(target->frame_count, target->page_size)) return;
    drain();
    exclusive_.reset(nullptr);
    if (size_bytes == 0) wal_deleted_.store(true);
    ring();
}

// With the target goes the last sight of what is committed.
void Database::on_exclusive_wal_close() {
    if (exclusive_.kind() == Kind::kHeap && capture_error().empty()) wait_captured(kLastUnmapMs);
    exclusive_.end();
}

ImagePin::ImagePin(Database& database) : database_(database) {
    const std::lock_guard lock(database_.state_mutex_);
    is_granted_ = !database_.pins_must_go_.load();
    if (is_granted_) ++database_.pins_;
}

ImagePin::~ImagePin() {
    const std::lock_guard lock(database_.state_mutex_);
    if (is_granted_) --database_.pins_;
    database_.unpinned_.notify_all();
}

NoPins::NoPins(Database& database) : database_(database) {
    std::unique_lock lock(database_.state_mutex_);
    database_.pins_must_go_.store(true);
    database_.unpinned_.wait_for(lock, std::chrono::milliseconds(kDrainMs),
                                 [&] { return database_.pins_ == 0; });
}

NoPins::~NoPins() { database_.pins_must_go_.store(false); }

}  // namespace litestream
