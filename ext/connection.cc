#include "ext/connection.h"

#include <cstdlib>
#include <vector>

#include "vfs/shim_vfs.h"

namespace litestream {
namespace {

class Statement {
  public:
    Statement(sqlite3* connection, const std::string& sql) {
        code_ = sqlite3_prepare_v2(connection, sql.c_str(), -1, &statement_, nullptr);
    }
    ~Statement() { sqlite3_finalize(statement_); }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    // SQLITE_ROW, SQLITE_DONE or an error.
    int step() { return code_ == SQLITE_OK ? sqlite3_step(statement_) : code_; }
    std::optional<std::string> column(int i) const {
        const unsigned char* text = sqlite3_column_text(statement_, i);
        if (text == nullptr) return std::nullopt;
        return reinterpret_cast<const char*>(text);
    }

  private:
    sqlite3_stmt* statement_ = nullptr;
    int code_;
};

std::vector<std::string> schemas_of(sqlite3* connection) {
    std::vector<std::string> names;
    Statement statement(connection, "PRAGMA database_list");
    while (statement.step() == SQLITE_ROW) names.push_back(statement.column(1).value_or(""));
    return names;
}

std::string schema_list(sqlite3* connection) {
    std::string list;
    for (const std::string& name : schemas_of(connection)) list += (list.empty() ? "" : ", ") + name;
    return list;
}

bool schema_exists(sqlite3* connection, const std::string& schema) {
    return sqlite3_db_filename(connection, schema.c_str()) != nullptr ||
           sqlite3_stricmp(schema.c_str(), "temp") == 0;
}

std::string file_of(sqlite3* connection, const std::string& schema) {
    const char* file = sqlite3_db_filename(connection, schema.c_str());
    return file == nullptr ? "" : file;
}

std::string why_not_ours(sqlite3* connection, const std::string& schema) {
    const std::string file = file_of(connection, schema);
    if (sqlite3_db_readonly(connection, schema.c_str()) == 1) {
        return schema + " is " + file + ", opened read-only: it is captured where it is written";
    }
    const bool is_temp = sqlite3_stricmp(schema.c_str(), "temp") == 0;
    const std::string what = !file.empty() ? file : is_temp ? "temporary" : ":memory:";
    return schema + " is " + what +
           ", not opened through the litestream VFS; use file:" + (file.empty() ? "PATH" : file) +
           "?vfs=litestream";
}

}  // namespace

Result<std::optional<std::string>> query_text(sqlite3* connection, const std::string& sql) {
    Statement statement(connection, sql);
    const int code = statement.step();
    if (code == SQLITE_ROW) return statement.column(0);
    if (code == SQLITE_DONE) return std::optional<std::string>();
    return sqlite_error(code, sqlite3_errmsg(connection));
}

std::string quote_name(const std::string& name) {
    std::string quoted = "\"";
    for (const char c : name) quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + "\"";
}

Result<Target> find_target(const Call& call, int i) {
    LITESTREAM_ASSIGN(auto schema, call.optional_text(i, "schema"));
    Target target;
    target.schema = schema.value_or("main");
    sqlite3* connection = call.connection();
    if (!schema_exists(connection, target.schema)) {
        return call.bad("no such schema: " + target.schema + "; there are " + schema_list(connection));
    }
    if (is_forked_child()) {
        target.why =
            "this process was forked from one that uses litestream: litestream works in the parent only";
        return target;
    }
    target.database = database_of(connection, target.schema.c_str());
    if (!target.database) target.why = why_not_ours(connection, target.schema);
    return target;
}

Result<Target> require_database(const Call& call, int i) {
    LITESTREAM_ASSIGN(Target target, find_target(call, i));
    if (!target.database) return call.bad(target.why);
    return target;
}

Status refuse_transaction(const Call& call) {
    if (sqlite3_get_autocommit(call.connection()) != 0) return {};
    return call.bad("cannot run inside a transaction; COMMIT or ROLLBACK first");
}

std::string journal_mode(sqlite3* connection, const std::string& schema) {
    auto mode = query_text(connection, "PRAGMA " + quote_name(schema) + ".journal_mode");
    return mode ? mode->value_or("") : "";
}

std::optional<std::uint32_t> page_size(sqlite3* connection, const std::string& schema) {
    auto size = query_text(connection, "PRAGMA " + quote_name(schema) + ".page_size");
    if (!size || !*size) return std::nullopt;
    return static_cast<std::uint32_t>(std::strtoul((*size)->c_str(), nullptr, 10));
}

void touch(sqlite3* connection, const Target& target) {
    if (sqlite3_get_autocommit(connection) == 0) return;
    (void)query_text(connection, "SELECT count(*) FROM " + quote_name(target.schema) + ".sqlite_master");
}

void touch_all(sqlite3* connection) {
    for (const std::string& schema : schemas_of(connection)) {
        auto database = database_of(connection, schema.c_str());
        if (database) touch(connection, {schema, std::move(database), ""});
    }
}

Status refuse_replica(const Target& target) {
    if (!target.database->is_replica()) return {};
    return bad_input(target.schema +
                     " is a live replica, which is not replicated from here: replicate on the "
                     "primary, or promote first: SELECT "
                     "litestream_stream_stop('{\"promote\":true}')");
}

std::optional<std::string> why_not_captured(sqlite3* connection, const Target& target) {
    if (!target.database) return target.why;
    if (auto status = refuse_replica(target); !status) return status.error().message;
    if (!target.database->wants_capture()) {
        return target.schema +
               " was opened through the default VFS, and nobody asked for its capture; "
               "litestream_replicate(url) does, and so does vfs=litestream in its URI";
    }
    const std::string mode = journal_mode(connection, target.schema);
    if (mode != "wal") {
        return target.schema + " has journal_mode " + (mode.empty() ? "unknown" : mode) +
               ": only a WAL database is captured; litestream_replicate(url) or PRAGMA journal_mode=WAL "
               "makes it one";
    }
    if (target.database->is_mapped()) return std::nullopt;
    return "nothing has been read from " + target.schema + " yet, so that its WAL is not open";
}

Status wait_for_capture(sqlite3* connection, const Target& target, Waiting& waiting) {
    touch(connection, target);
    if (auto why = why_not_captured(connection, target)) return bad_input(*std::move(why));
    Database& database = *target.database;
    if (database.wait_captured(waiting.left_ms(), waiting.stop())) return {};
    const std::string error = database.capture_error();
    if (database.is_standing_by()) return bad_input(database.path() + ": " + error + "; call this there");
    return waiting.failure("capture of " + database.path() + " is late" +
                           (error.empty() ? "" : ": " + error));
}

}  // namespace litestream
