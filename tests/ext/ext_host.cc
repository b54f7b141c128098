#include "tests/ext/ext_host.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "ext/entry.h"

namespace litestream::test {
namespace {

// Before any connection of the test is opened, so that the VFS is the runtime's own.
void load_once() {
    static const int code = sqlite3_auto_extension(reinterpret_cast<void (*)()>(litestream_init));
    static const bool is_ready = [] {
        sqlite3* connection = nullptr;
        const int opened = sqlite3_open(":memory:", &connection);
        sqlite3_close(connection);
        return opened == SQLITE_OK;
    }();
    if (code != SQLITE_OK || !is_ready) throw std::runtime_error("the module cannot be set up");
}

}  // namespace

Session::Session(const std::string& name) {
    load_once();
    const bool is_path = name[0] == '/';
    constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI;
    if (sqlite3_open_v2(name.c_str(), &connection_, kFlags, is_path ? "litestream" : nullptr) != SQLITE_OK) {
        const std::string message = sqlite3_errmsg(connection_);
        sqlite3_close(connection_);
        throw std::runtime_error(name + ": " + message);
    }
    sqlite3_busy_timeout(connection_, 10'000);
}

void Session::close() {
    if (connection_ != nullptr && sqlite3_close(connection_) != SQLITE_OK) std::abort();
    connection_ = nullptr;
}

std::string Session::operator()(const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    std::string value = "NULL";
    int code = sqlite3_prepare_v2(connection_, sql.c_str(), -1, &statement, nullptr);
    if (code == SQLITE_OK) code = sqlite3_step(statement);
    if (code == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL) {
        value = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        value = std::string("error: ") + sqlite3_errmsg(connection_);
    sqlite3_finalize(statement);
    code_ = code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code & 0xff;
    return value;
}

bool eventually(Session& sql, const std::string& query, const std::string& expected) {
    for (int i = 0; i < 200; ++i) {
        if (sql(query) == expected) return true;
        sql("SELECT litestream_run(0.05)");
    }
    return false;
}

std::string sql_text(const std::string& text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
    return out + "'";
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

std::string read_text(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_text(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

}  // namespace litestream::test
