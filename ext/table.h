// The read-only tables of ours: a list of columns and a function that makes all rows when the table is read.
// One virtual table module serves them all; each is eponymous only (nothing to create or drop) and
// SQLITE_VTAB_DIRECTONLY. A table of a replica takes its URL, and perhaps what its store needs, as arguments:
// litestream_wal('file:///backup'), litestream_wal('s3://bucket/app', '{"region":"eu-west-1"}').
//
// Thread-bound: the connection's thread, but for listings, during which that thread waits.
#pragma once

#include <string>
#include <vector>

#include "ext/sql_value.h"
#include "shared/replica/replica_client.h"

namespace litestream {

using Row = std::vector<SqlValue>;  // a value for each column
using Rows = std::vector<Row>;

struct Table {
    const char* name;
    const char* columns;  // as in CREATE TABLE
    int column_count;
    Result<Rows> (*rows)();  // of the process; or
    // of a replica: there are hidden columns `url` and `options` behind the others.
    Result<Rows> (*listing)(ReplicaClient& client);
};

int register_tables(sqlite3* connection);

// tables_process.cc
Result<Rows> database_rows();
Result<Rows> replica_rows();
Result<Rows> stream_rows();
Result<Rows> event_rows();

// tables_replica.cc
Result<Rows> generation_rows(ReplicaClient& client);
Result<Rows> snapshot_rows(ReplicaClient& client);
Result<Rows> wal_rows(ReplicaClient& client);

}  // namespace litestream
