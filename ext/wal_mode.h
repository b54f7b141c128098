// What replicate and serve change of a database before they succeed, each put back unless it is kept: its
// journal mode, and whether its capture is wanted.
//
// Thread-bound: the connection's thread, from within a call, outside transactions.
#pragma once

#include <string>

#include "shared/base/result.h"
#include "vfs/database.h"
#include "vfs/sqlite.h"

namespace litestream {

// Changes the journal mode to WAL if need be, and back again unless the change is kept.
class WalMode {
  public:
    static Result<WalMode> enter(sqlite3* connection, const std::string& schema);
    WalMode(WalMode&& other) noexcept;
    WalMode& operator=(WalMode&&) = delete;
    ~WalMode();

    bool has_changed() const { return !before_.empty(); }
    void keep() { before_.clear(); }

  private:
    WalMode(sqlite3* connection, const std::string& schema) : connection_(connection), schema_(schema) {}
    Result<std::string> change(const std::string& mode) const;

    sqlite3* connection_;
    std::string schema_;
    std::string before_;  // empty: nothing to undo
};

// Wanted from here on, and not any more if the call fails.
class WantedCapture {
  public:
    explicit WantedCapture(Database& database) : database_(database), was_wanted_(database.wants_capture()) {
        database_.want_capture();
    }
    WantedCapture(const WantedCapture&) = delete;
    WantedCapture& operator=(const WantedCapture&) = delete;
    ~WantedCapture() {
        if (!was_wanted_) database_.unwant_capture();
    }
    void keep() { was_wanted_ = true; }

  private:
    Database& database_;
    bool was_wanted_;
};

}  // namespace litestream
