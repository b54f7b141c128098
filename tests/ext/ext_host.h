// The module inside the test's own process: litestream_init() is given to SQLite as an automatic extension,
// which is what loading the built module does for a stock program. Thread-bound.
#pragma once

#include <sqlite3.h>

#include <string>

#include "tests/support/temp_directory.h"

namespace litestream::test {

// A connection with the SQL surface. Failures come back as text, so that a test can look at them.
class Session {
  public:
    // `name`: a path, opened through the VFS "litestream"; or ":memory:", or a URI that says it all.
    explicit Session(const std::string& name);
    ~Session() { close(); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // First column of the first row; "NULL"; or "error: MESSAGE".
    std::string operator()(const std::string& sql);
    // SQLite's primary result code of the last call.
    int code() const { return code_; }
    sqlite3* get() { return connection_; }
    void close();

  private:
    sqlite3* connection_ = nullptr;
    int code_ = SQLITE_OK;
};

// Asks again until the answer is `expected`: for what a thread of ours does in its own time. False: never.
bool eventually(Session& sql, const std::string& query, const std::string& expected);

std::string sql_text(const std::string& text);  // as an SQL string
bool contains(const std::string& text, const std::string& part);
std::string read_text(const std::string& path);
void write_text(const std::string& path, const std::string& text);

}  // namespace litestream::test
