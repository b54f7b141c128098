// StreamServer: GET /stream. What a client is sent: a snapshot if it needs one, then every segment of the
// served database's store, what exists at once, what comes later when the store has it.
//
// A snapshot is pinned at one position, copied at the disk's speed into an unlinked temporary file in the
// meta directory, and sent from there, so that however slow a client is it holds neither a read transaction
// nor memory: 256 KiB a session. A client whose next segment was trimmed loses its connection and is healed
// by a snapshot when it comes back. Local disk: one temporary snapshot per session that is being sent one.
//
// Thread-bound to the I/O thread, except where said.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/scheduler.h"
#include "shared/net/http_server.h"
#include "shared/store/database_image.h"
#include "shared/store/segment_store.h"

namespace litestream {

// A database that is served. Whoever holds one keeps store and images alive.
class ServedDatabase {
  public:
    virtual ~ServedDatabase() = default;
    virtual const std::string& path() const = 0;
    virtual SegmentStore& store() = 0;
    virtual ImageSource& images() = 0;
    virtual std::uint32_t page_size() const = 0;  // 0: not known yet
};

// One live replica of ours, for litestream_streams, status and metrics.
struct StreamInfo {
    std::string database;
    std::string peer;
    Position position;           // the last that it acknowledged as applied; an e6f7c60 client: what was sent
    std::int64_t commit_ms = 0;  // time of the last commit that was sent; 0: unknown
    std::uint64_t sent_bytes = 0;
    std::uint64_t pending_bytes = 0;  // of WAL, behind the database's end
    std::int64_t connected_ms = 0;    // wall clock
    bool is_ours = false;             // speaks liblitestream/1
};

class StreamServer {
  public:
    // nullptr: not served; kExists: several have that name (409).
    using Find = std::function<Result<std::shared_ptr<ServedDatabase>>(const std::string& path)>;

    StreamServer(IoThread& io, Scheduler& scheduler, Find find);
    ~StreamServer();  // the HTTP server is gone
    StreamServer(const StreamServer&) = delete;
    StreamServer& operator=(const StreamServer&) = delete;

    HttpReply handle(const HttpRequest& request);

    // Any thread.
    std::vector<StreamInfo> streams() const;
    // The database is closing: its sessions end, and none refers to it once this returns. Not from the I/O
    // thread.
    void drop(const std::string& path);
    // Called on the I/O thread at each acknowledgement of a client of ours.
    void set_ack_listener(std::function<void(const std::string& path, const Position& applied)> listener);

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace litestream
