#include "ext/host_check.h"

#include <memory>

#include "ext/connection.h"
#include "ext/sql_value.h"
#include "shared/base/text.h"
#include "vfs/sqlite.h"

namespace litestream {
namespace {

// Virtual machine steps between two looks at the clock.
constexpr int kStepsPerLook = 20'000;

constexpr const char* kOurVfs = "litestream";

// The VFS below ours: the default one, or the next if ours is the default.
const char* host_vfs() {
    const sqlite3_vfs* vfs = sqlite3_vfs_find(nullptr);
    if (vfs != nullptr && sqlite3_stricmp(vfs->zName, kOurVfs) == 0) vfs = vfs->pNext;
    return vfs == nullptr ? nullptr : vfs->zName;
}

int x_progress(void* stop) { return (*static_cast<const std::function<bool()>*>(stop))() ? 1 : 0; }

}  // namespace

Status quick_check(const std::string& path, const std::function<bool()>& stop) {
    sqlite3* opened = nullptr;
    const std::string uri = "file:" + percent_encode(path) + "?immutable=1";
    constexpr int kFlags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_PRIVATECACHE;
    const int code = sqlite3_open_v2(uri.c_str(), &opened, kFlags, host_vfs());
    const std::unique_ptr<sqlite3, int (*)(sqlite3*)> connection(
        opened, [](sqlite3* db) { return sqlite3_close(db); });
    if (code != SQLITE_OK) return sqlite_error(code, path + ": cannot be checked: " + sqlite3_errmsg(opened));
    std::function<bool()> asked = stop;
    // An SQLite built with SQLITE_OMIT_PROGRESS_CALLBACK, as better-sqlite3's, has none: the check then runs
    // to its end.
    if (stop && sqlite3_api->progress_handler != nullptr) {
        sqlite3_progress_handler(opened, kStepsPerLook, x_progress, &asked);
    }
    auto verdict = query_text(opened, "PRAGMA quick_check(1)");
    if (!verdict) return std::move(verdict).error().context(path + ": quick_check");
    if (*verdict == "ok") return {};
    return corrupt(path + ": quick_check: " + verdict->value_or("no answer"));
}

}  // namespace litestream
