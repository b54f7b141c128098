// The host's own SQLite as a judge of a file that is not yet published: PRAGMA quick_check. Reentrant.
#pragma once

#include <functional>
#include <string>

#include "shared/base/result.h"

namespace litestream {

// On a connection of its own, read-only, without locks and without our VFS. kCorrupt carries SQLite's first
// complaint. `stop`, if there is one, is asked four times a second; then kInterrupt. Call it with no mutex of
// ours held.
Status quick_check(const std::string& path, const std::function<bool()>& stop);

}  // namespace litestream
