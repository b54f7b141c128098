// StreamContext: what one connection's conversation works with, whichever protocol it speaks. Thread-bound:
// the follower's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "shared/store/replica_feed.h"
#include "shared/stream/stream_client.h"
#include "shared/stream/stream_input.h"

namespace litestream {

struct StreamContext {
    StreamWire& wire;
    const StreamSource& source;
    ReplicaFeed& feed;
    std::uint32_t page_size = 0;          // as the answer's header names it; 0: the server does not know yet
    std::uint32_t replica_page_size = 0;  // 0: any will do
    // Changes what progress() answers.
    std::function<void(const std::function<void(StreamProgress&)>&)> update;

    Status tell_progress() const { return source.on_progress ? source.on_progress() : Status(); }
};

// The failure of the connection, where there was one, else what the reader of the payload says.
inline Status payload_result(const PayloadSource& payload, Status result) {
    if (!result && payload.failure()) return *payload.failure();
    return result;
}

}  // namespace litestream
