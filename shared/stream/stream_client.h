// StreamClient: follows a database that is served over HTTP: connects, tells where the replica is, and hands
// on what comes to a ReplicaFeed. Speaks liblitestream/1 with servers that do, else what e6f7c60 servers
// send.
//
// From an e6f7c60 server: its snapshot is a plain copy that becomes consistent only with the rest of its
// index, and nothing in the stream says when. It is kept in a temporary file with the frames behind it until
// the next index begins or a second passes without a record, then checked by `check`, then shown.
//
// Thread-bound: the follower's thread; stop() and progress() from any.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include "shared/base/url.h"
#include "shared/net/http_client.h"
#include "shared/store/replica_feed.h"

namespace litestream {

// How long a client waits for what, and how often it speaks.
struct StreamLimits {
    std::int64_t connect_ms = 10'000;  // up to the header of the answer
    // Doubled up to this after each answer that did not come in time: an e6f7c60 server answers a client that
    // comes back with its next commit only.
    std::int64_t longest_connect_ms = 600'000;
    std::int64_t silence_ms = 45'000;  // of a server of ours, and of any within what it has begun
    // Of an e6f7c60 server, which is silent while nothing is committed; a peer that is gone without a word is
    // noticed by this alone.
    std::int64_t quiet_ms = 3'600'000;
    std::int64_t alive_ms = 15'000;  // at least that often a server of ours hears from us
    std::int64_t ack_ms = 20;        // between acknowledgements while more keeps coming
    std::int64_t settle_ms = 1000;   // the silence after which the snapshot of an e6f7c60 server is checked
    int most_settles = 60;           // such silences before it is given up
};

struct StreamSource {
    Url url;                      // scheme, host, port
    std::string path;             // of the served database, as the server knows it
    std::string token;            // "": none
    std::uint32_t page_size = 0;  // the replica's own; 0: empty, any will do
    std::string meta_path;        // for temporary files
    // Is the file at this path, with its -wal absent, a database in good order?
    std::function<Status(const std::string& path)> check;
    // On the follower's thread, after each message that moved the replica, and after each sign of life of a
    // server that did not; for a server without one, an e6f7c60 server, once after `settle_ms` of silence.
    // An error ends the connection.
    std::function<Status()> on_progress;
    StreamLimits limits;
};

struct StreamProgress {
    bool is_connected = false;
    Position upstream_end;               // as the server said last; empty: it does not tell
    std::int64_t upstream_clock_ms = 0;  // its wall clock then
    std::int64_t heard_ms = 0;           // ours, when something came last
    std::uint64_t received_bytes = 0;    // over all connections
    std::uint64_t snapshots = 0;         // received
};

class StreamClient {
  public:
    StreamClient(StreamSource source, ReplicaFeed& feed);
    // One connection, until it ends. The error says why: kInput and kCorrupt are worth telling the user at
    // once (401, 403, 404, 409, another page size, no Litestream at all); kInterrupt: stop().
    Error run();
    void stop();  // any thread; for good
    StreamProgress progress() const;

  private:
    Error follow(HttpClient& client);
    Status connect(HttpClient& client);
    Result<std::uint32_t> accepted_page_size(HttpClient& client) const;
    Error converse(HttpClient& client, std::uint32_t page_size);
    std::uint32_t replica_page_size() const;

    StreamSource source_;
    ReplicaFeed& feed_;
    std::int64_t connect_ms_;  // the follower's thread only
    mutable std::mutex mutex_;
    HttpClient* client_ = nullptr;  // guarded by mutex_; of the connection that there is
    StreamProgress progress_;       // guarded by mutex_
    bool stopped_ = false;          // guarded by mutex_
};

}  // namespace litestream
