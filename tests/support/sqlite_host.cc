#include "tests/support/sqlite_host.h"

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "vfs/registry.h"

// Declared here, since this file speaks to the SQLite that it links, not through the loader's table.
extern const sqlite3_api_routines* sqlite3_api;
namespace litestream {
int register_shim_vfs(Registry& registry);
}

namespace litestream::test {

namespace {

// Never destroyed: SQLite keeps the VFS to the end of the process.
Registry& the_registry() {
    static auto* registry = new Registry;
    return *registry;
}

int take_api(sqlite3*, char**, const sqlite3_api_routines* api) {
    // Only the first time: other threads read it, and it never changes.
    if (sqlite3_api == nullptr) sqlite3_api = api;
    return register_shim_vfs(the_registry());
}

std::string quote_name(const std::string& name) {
    std::string out = "\"";
    for (const char c : name) out += c == '"' ? std::string("\"\"") : std::string(1, c);
    return out + "\"";
}

std::vector<std::string> column(Connection& connection, const std::string& sql) {
    std::vector<std::string> values;
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(connection.get(), sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) {
        throw std::runtime_error(sql + ": " + sqlite3_errmsg(connection.get()));
    }
    int rc = 0;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        std::string row;
        for (int i = 0; i < sqlite3_column_count(statement); ++i) {
            const void* bytes = sqlite3_column_blob(statement, i);
            const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, i));
            row += std::to_string(sqlite3_column_type(statement, i)) + ":";
            if (bytes != nullptr) row.append(static_cast<const char*>(bytes), size);
            row += '|';
        }
        values.push_back(std::move(row));
    }
    const std::string message = sqlite3_errmsg(connection.get());
    sqlite3_finalize(statement);
    if (rc != SQLITE_DONE) throw std::runtime_error(sql + ": " + message);
    return values;
}

}  // namespace

Registry& host_registry() {
    static const bool is_ready = [] {
        sqlite3_auto_extension(reinterpret_cast<void (*)()>(take_api));
        sqlite3* connection = nullptr;
        sqlite3_open(":memory:", &connection);
        sqlite3_close(connection);
        return true;
    }();
    static_cast<void>(is_ready);
    return the_registry();
}

Connection::Connection(const std::string& path, const char* vfs, int flags) {
    host_registry();
    if (sqlite3_open_v2(path.c_str(), &connection_, flags | SQLITE_OPEN_URI, vfs) != SQLITE_OK) {
        const std::string message = sqlite3_errmsg(connection_);
        sqlite3_close(connection_);
        throw std::runtime_error(path + ": " + message);
    }
    sqlite3_busy_timeout(connection_, 10000);
}

void Connection::close() {
    if (connection_ != nullptr && sqlite3_close(connection_) != SQLITE_OK) std::abort();
    connection_ = nullptr;
}

int Connection::try_exec(const std::string& sql) {
    return sqlite3_exec(connection_, sql.c_str(), nullptr, nullptr, nullptr);
}

void Connection::exec(const std::string& sql) {
    char* message = nullptr;
    if (sqlite3_exec(connection_, sql.c_str(), nullptr, nullptr, &message) != SQLITE_OK) {
        const std::string text = message != nullptr ? message : "unknown";
        sqlite3_free(message);
        throw std::runtime_error(sql + ": " + text);
    }
}

std::string Connection::text(const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(connection_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) {
        throw std::runtime_error(sql + ": " + sqlite3_errmsg(connection_));
    }
    std::string value = "NULL";
    const int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL) {
        value = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    }
    const std::string message = sqlite3_errmsg(connection_);
    sqlite3_finalize(statement);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) throw std::runtime_error(sql + ": " + message);
    return value;
}

std::string dump(Connection& connection) {
    std::string out;
    for (const std::string& row :
         column(connection, "SELECT type,name,tbl_name,sql FROM sqlite_master ORDER BY 1,2")) {
        out += row + "\n";
    }
    for (std::string name :
         column(connection, "SELECT name FROM sqlite_master WHERE type='table' AND rootpage>0 ORDER BY 1")) {
        name = name.substr(2, name.size() - 3);
        out += name + "\n";
        for (const std::string& row :
             column(connection, "SELECT rowid,* FROM " + quote_name(name) + " ORDER BY rowid")) {
            out += row + "\n";
        }
    }
    return out;
}

std::string dump_file(const std::string& path) {
    Connection connection("file:" + path + "?immutable=1", nullptr, SQLITE_OPEN_READONLY);
    return dump(connection);
}

}  // namespace litestream::test
