// The replica that is asked for where a database is opened: in its URI (`replica=URL`), or in the environment
// (LITESTREAM_REPLICA_URL), read at each open. There `{name}` stands for the database's file name; without it
// the URL can be only one database's, and is the first one's that is opened.
//
// Thread-safe. mutex_ is innermost.
#pragma once

#include <mutex>
#include <optional>
#include <string>

namespace litestream {

class OpenRequests {
  public:
    // `name`: as SQLite gives it to xOpen.
    std::optional<std::string> replica_of(const char* name);

  private:
    std::optional<std::string> from_environment(const std::string& path);

    std::mutex mutex_;
    std::string first_database_;  // guarded by mutex_: whose the URL without {name} is
};

}  // namespace litestream
