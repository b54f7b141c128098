// Name lookups that can be given up. The C library's lookup cannot be interrupted, so it runs on a thread of
// its own that is left behind when its answer comes too late.
//
// Reentrant.
#pragma once

#include <string>
#include <vector>

#include "shared/net/net_stream.h"

namespace litestream {

// `host` may have brackets. Addresses are taken as they are, without a thread.
Result<std::vector<Endpoint>> resolve(const std::string& host, const std::string& port,
                                      std::int64_t deadline_ms, const Canceller& canceller);

}  // namespace litestream
