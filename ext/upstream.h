// What a live replica follows, as users name it, and the role that it takes for that: what must be true
// before a database becomes a replica, and how everything is put back if its first state never comes.
//
// Reentrant, but for Following: thread-bound, from within a call or an open.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ext/replication.h"

namespace litestream {

struct StreamRequest {
    UpstreamSpec upstream;
    std::int64_t timeout_ms = 30'000;
    bool replace = false;
};

// http(s)://HOST[:PORT][/PATH], s3://BUCKET[/PATH] or file:///DIRECTORY; `options`: JSON, or nullopt. The
// keys may stand in the URL's query as well; the options then win. What the store of a bucket needs is kept
// in the query, as in options.h.
Result<StreamRequest> parse_stream_request(const std::string& url, const std::optional<std::string>& options);
// {"promote": true} or nothing.
Result<bool> parse_stop_options(const std::optional<std::string>& options);

// What litestream_stream and a URI may not do, but for the check of what is in the database.
Status check_followable(const Replication& replication, const StreamRequest& request);
// Of a database that is neither empty nor a replica of that upstream.
Error needs_replace(const Replication& replication, const UpstreamSpec& upstream);

// Where a replica is: as applied by this process, or else as its last applier wrote it down.
SourceState replica_state(const Database& database);
// Seconds behind the upstream; nullopt: not known.
std::optional<double> replica_lag_seconds(const Replication& replication);

// The database is a replica from here on, remembered and followed; as it was before, unless it is kept.
class Following {
  public:
    static Result<Following> begin(Replication& replication, const UpstreamSpec& upstream);
    Following(Following&& other) noexcept;
    Following& operator=(Following&&) = delete;
    ~Following();

    // It was a replica of the same upstream before: what it shows is a state of that.
    bool goes_on() const { return goes_on_; }
    void keep() { is_kept_ = true; }

  private:
    explicit Following(Replication& replication);
    Status take_role();
    void undo();
    void drop_role();

    Replication& replication_;
    std::string url_;
    std::optional<UpstreamSpec> previous_;
    bool was_replica_ = false;
    bool was_wanted_ = false;
    bool had_meta_ = false;
    bool goes_on_ = false;
    bool is_kept_ = false;
};

}  // namespace litestream
