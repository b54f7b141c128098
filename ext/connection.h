// What functions ask of the caller's connection: its schemas, the few statements that they run on it, and the
// database of ours behind a schema.
//
// Thread-bound: the connection's thread, from within a call. No mutex of ours is held here: SQL runs.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "ext/interrupt.h"
#include "ext/sql_value.h"
#include "vfs/database.h"

namespace litestream {

// First column of the first row; nullopt: no row, or NULL.
Result<std::optional<std::string>> query_text(sqlite3* connection, const std::string& sql);
// `"name"`, safe to stand in SQL.
std::string quote_name(const std::string& name);

// What a schema of a connection is to us.
struct Target {
    std::string schema;
    std::shared_ptr<Database> database;  // null: not ours, `why` says it with the way out
    std::string why;
};

// The schema of argument `i` ('main' unless given). An unknown one is an error that lists what there is.
Result<Target> find_target(const Call& call, int i);
// The same; not ours is an error.
Result<Target> require_database(const Call& call, int i);
Status refuse_transaction(const Call& call);

// The journal mode, "" if it cannot be told now.
std::string journal_mode(sqlite3* connection, const std::string& schema);
// nullopt: it cannot be told now.
std::optional<std::uint32_t> page_size(sqlite3* connection, const std::string& schema);
// Makes SQLite open the WAL, so that capture can see it: one read, outside transactions only. A failure is
// no error here: the wait for capture that follows tells.
void touch(sqlite3* connection, const Target& target);
// All schemas that are ours.
void touch_all(sqlite3* connection);
// A live replica has nothing to capture or replicate: that is its primary's.
Status refuse_replica(const Target& target);
// nullopt: captured (or about to be). Otherwise why no commit can be, and the way out.
std::optional<std::string> why_not_captured(sqlite3* connection, const Target& target);
// Touch, and wait until everything committed so far is captured.
Status wait_for_capture(sqlite3* connection, const Target& target, Waiting& waiting);

}  // namespace litestream
