// StreamBoard: who is connected and how far, kept by the sessions, read by anybody.
//
// Thread-safe. Lock order: mutex_, then a store's; an entry's store is used only while the entry is on the
// board, which its session takes down before it lets go of the database.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "shared/stream/stream_server.h"

namespace litestream {

class StreamBoard {
  public:
    using AckListener = std::function<void(const std::string& path, const Position& applied)>;

    std::uint64_t add(StreamInfo info, const SegmentStore& store);
    void update(std::uint64_t id, const Position& position, std::int64_t commit_ms, std::uint64_t sent_bytes);
    void remove(std::uint64_t id);
    std::vector<StreamInfo> list() const;

    void set_ack_listener(AckListener listener);
    void tell_ack(const std::string& path, const Position& applied) const;

  private:
    struct Entry {
        StreamInfo info;
        const SegmentStore* store = nullptr;
    };

    mutable std::mutex mutex_;
    // Guarded by mutex_:
    std::map<std::uint64_t, Entry> entries_;
    std::uint64_t next_id_ = 1;
    AckListener ack_listener_;
};

}  // namespace litestream
