#include "shared/stream/stream_board.h"

#include <utility>

namespace litestream {

std::uint64_t StreamBoard::add(StreamInfo info, const SegmentStore& store) {
    const std::lock_guard lock(mutex_);
    entries_[next_id_] = {std::move(info), &store};
    return next_id_++;
}

void StreamBoard::update(std::uint64_t id, const Position& position, std::int64_t commit_ms,
                         std::uint64_t sent_bytes) {
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(id);
    if (entry == entries_.end()) return;
    entry->second.info.position = position;
    entry->second.info.commit_ms = commit_ms;
    entry->second.info.sent_bytes = sent_bytes;
}

void StreamBoard::remove(std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    entries_.erase(id);
}

std::vector<StreamInfo> StreamBoard::list() const {
    std::vector<StreamInfo> infos;
    const std::lock_guard lock(mutex_);
    for (const auto& [id, entry] : entries_) {
        infos.push_back(entry.info);
        infos.back().pending_bytes = entry.store->bytes_after(entry.info.position);
    }
    return infos;
}

void StreamBoard::set_ack_listener(AckListener listener) {
    const std::lock_guard lock(mutex_);
    ack_listener_ = std::move(listener);
}

// Called without the lock: the listener may ask for the list.
void StreamBoard::tell_ack(const std::string& path, const Position& applied) const {
    AckListener listener;
    {
        const std::lock_guard lock(mutex_);
        listener = ack_listener_;
    }
    if (listener) listener(path, applied);
}

}  // namespace litestream
