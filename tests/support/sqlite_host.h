// What the loading host does for the module, done in the test's own process: hands over SQLite's functions
// and registers the VFS. Also a small connection wrapper.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/temp_directory.h"

namespace litestream {
class Registry;
}

namespace litestream::test {

// The registry behind the VFS "litestream"; set up on first use.
Registry& host_registry();

// A connection; every failure throws, and so fails the test.
class Connection {
  public:
    explicit Connection(const std::string& path, const char* vfs = "litestream",
                        int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    ~Connection() { close(); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void exec(const std::string& sql);
    int try_exec(const std::string& sql);      // SQLite's code
    std::string text(const std::string& sql);  // first column of the first row, "NULL" for NULL
    void close();
    sqlite3* get() { return connection_; }

  private:
    sqlite3* connection_ = nullptr;
};

// Schema and rows of every table in a fixed order: equal databases have equal dumps.
std::string dump(Connection& connection);
std::string dump_file(const std::string& path);  // through the default VFS, read-only, immutable

}  // namespace litestream::test
