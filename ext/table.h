// The read-only tables of ours: a list of columns and a function that makes all rows when the table is read.
// One virtual table module serves them all; each is eponymous only (nothing to create or drop) and
// SQLITE_VTAB_DIRECTONLY. A table of a replica takes its URL as argument: litestream_wal('file:///backup').
// Thread-bound: the connection's thread.
#pragma once

#include <string>
#include <vector>

#include "ext/sql_value.h"

namespace litestream {

using Row = std::vector<SqlValue>;  // a value for each column
using Rows = std::vector<Row>;

struct Table {
    const char* name;
    const char* columns;  // as in CREATE TABLE
    int column_count;
    bool takes_url;  // a hidden column `url` behind the others
    Result<Rows> (*rows)(const std::string& url);
};

int register_tables(sqlite3* connection);

// tables_process.cc
Result<Rows> database_rows(const std::string&);
Result<Rows> replica_rows(const std::string&);
Result<Rows> stream_rows(const std::string&);
Result<Rows> event_rows(const std::string&);

// tables_replica.cc
Result<Rows> generation_rows(const std::string& url);
Result<Rows> snapshot_rows(const std::string& url);
Result<Rows> wal_rows(const std::string& url);

}  // namespace litestream
