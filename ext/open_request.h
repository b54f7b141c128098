// What is asked for where a database is opened, in its URI or in the environment, read at each open: a
// replica
// (`replica=URL`, LITESTREAM_REPLICA_URL), an upstream to follow (`upstream=URL`, LITESTREAM_UPSTREAM_URL),
// an address to serve at (`serve=ADDR`, LITESTREAM_ADDR). In the environment `{name}` stands for the
// database's file name; without it the value can be only one database's, and is the first one's that is
// opened.
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
    std::optional<std::string> upstream_of(const char* name);
    std::optional<std::string> address_of(const char* name);  // to serve at

  private:
    std::optional<std::string> from_environment(const char* variable, const std::string& path,
                                                std::string& first_database);

    std::mutex mutex_;
    // Guarded by mutex_: whose the URL without {name} is.
    std::string first_replicated_;
    std::string first_follower_;
    std::string first_served_;
};

}  // namespace litestream
