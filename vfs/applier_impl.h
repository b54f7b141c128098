// What the Applier is made of; for its own files. Thread-bound: the follower's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "shared/base/file_lock.h"
#include "vfs/applied_log.h"
#include "vfs/applier.h"
#include "vfs/apply_batch.h"
#include "vfs/wal_appender.h"

namespace litestream {

constexpr int kBusyTimeoutMs = 5000;

struct CloseConnection {
    void operator()(sqlite3* connection) const { sqlite3_close(connection); }
};

struct Applier::Impl {
    explicit Impl(Database& database) : database(database) {}

    Database& database;
    unsigned mode = 0600;  // of the files beside the database
    FileLock lock;
    AppliedLog log;
    std::unique_ptr<sqlite3, CloseConnection> connection;
    WalAppender wal;
    bool is_mapped = false;                  // `wal` is open: the database has content
    std::optional<WalIndexHeader> expected;  // what the header is unless a stranger wrote; nullopt: anything
    SourceState state;
    std::string reset_reason;

    ApplyBatch batch;
    bool has_begun = false;  // WRITE is held
    bool has_commits = false;
    std::uint32_t page_count = 0;
    SourceState next_state;                 // behind the batch
    std::uint32_t checkpointed_frames = 0;  // the WAL's length at the last checkpoint
    bool is_idle = false;
    std::uint64_t commits = 0;  // since it was opened

    Status open();
    Status map();
    Status find_state();
    std::optional<AppliedRecord> find_record() const;
    Status exec(const char* sql);
    std::int64_t ask(const char* sql);
    Status begin();
    Status begin_batch();
    void abort();
    Status spill();
    Status flush();
    Status write_batch();
    void publish_state();
    void forget(const char* why);
    void checkpoint_if_due();
    void settle();
    bool note_rest();
};

}  // namespace litestream
