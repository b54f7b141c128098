#include "vfs/applier.h"

#include <sys/stat.h>

#include <chrono>
#include <thread>

#include "shared/base/clock.h"
#include "shared/base/directory.h"
#include "shared/base/events.h"
#include "shared/base/file_lock.h"
#include "vfs/applied_log.h"
#include "vfs/apply_batch.h"
#include "vfs/clean_close.h"
#include "vfs/first_image.h"
#include "vfs/shim_file.h"
#include "vfs/shim_vfs.h"
#include "vfs/wal_appender.h"

namespace litestream {

namespace {

constexpr std::uint64_t kCheckpointBytes = 16u << 20;  // of WAL since the last attempt
constexpr int kLockTimeoutMs = 10'000;
constexpr int kLockNapMs = 1;
constexpr int kBusyTimeoutMs = 5000;
constexpr const char* kForeign = "another program wrote to this replica; a snapshot replaces what it wrote";
constexpr const char* kUnknownState =
    "what is in the database is not what was applied last (another program wrote to it, or power was lost); "
    "a "
    "snapshot replaces it";

struct CloseConnection {
    void operator()(sqlite3* connection) const { sqlite3_close(connection); }
};
using Connection = std::unique_ptr<sqlite3, CloseConnection>;

// Another schema under the same schema cookie would leave open connections with the one that they have read.
// The next page 1 of the source brings back its own.
void renew_cookie(ByteSpan first_page, std::uint32_t old_cookie) {
    std::uint8_t* cookie = first_page.data() + 40;
    if (load_be32(cookie) == old_cookie) store_be32(cookie, old_cookie ^ 0x40000000);
}

bool is_same_content(const WalIndexHeader& a, const WalIndexHeader& b) {
    return a.frame_count == b.frame_count && a.salts == b.salts && a.frame_checksum == b.frame_checksum;
}

}  // namespace

struct Applier::Impl {
    explicit Impl(Database& database) : database(database) {}

    Database& database;
    FileLock lock;
    AppliedLog log;
    Connection connection;
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

    Status open();
    Status map();
    Status find_state();
    Status exec(const char* sql);
    std::int64_t ask(const char* sql);
    Status begin();
    void abort();
    Status spill();
    Status flush();
    Status write_batch();
    void publish_state();
    void forget(const char* why);
    void checkpoint_if_due();
};

// --- Opening ---

Status Applier::Impl::exec(const char* sql) {
    const int rc = sqlite3_exec(connection.get(), sql, nullptr, nullptr, nullptr);
    if (rc == SQLITE_OK) return {};
    const bool is_busy = (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED;
    return Error{is_busy ? ErrorCode::kBusy : ErrorCode::kIo,
                 database.path() + ": " + sqlite3_errmsg(connection.get())};
}

std::int64_t Applier::Impl::ask(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    std::int64_t value = -1;
    if (sqlite3_prepare_v2(connection.get(), sql, -1, &statement, nullptr) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        value = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return value;
}

Status Applier::Impl::open() {
    struct stat status = {};
    if (::stat(database.path().c_str(), &status) != 0) return system_error(errno, database.path(), "stat");
    const unsigned mode = status.st_mode & 0666;
    const std::string& meta = database.store().path();
    LITESTREAM_ASSIGN(const bool taken, lock.try_lock(join_path(meta, "follow-lock"), mode));
    if (!taken) {
        return Error{ErrorCode::kBusy, database.path() + ": another process (pid " +
                                           std::to_string(lock.holder()) + ") keeps this replica up to date"};
    }
    LITESTREAM_TRY(log.open(meta, mode));
    sqlite3* raw = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOMUTEX;
    const int rc = sqlite3_open_v2(database.path().c_str(), &raw, flags, below_vfs_name());
    connection.reset(raw);
    if (rc != SQLITE_OK) return Error{ErrorCode::kCantOpen, database.path() + ": " + sqlite3_errmsg(raw)};
    sqlite3_busy_timeout(raw, kBusyTimeoutMs);
    // Where this is the last connection to close, the WAL stays: a record tells what it means.
    sqlite3_db_config(raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    LITESTREAM_TRY(exec("PRAGMA wal_autocheckpoint=0; PRAGMA synchronous=NORMAL"));
    if (ask("PRAGMA page_count") <= 0) {
        if (log.newest()) reset_reason = kUnknownState;
        return {};
    }
    LITESTREAM_TRY(map());
    return find_state();
}

Status Applier::Impl::map() {
    LITESTREAM_TRY(exec("PRAGMA journal_mode=WAL; SELECT count(*) FROM sqlite_master"));
    LITESTREAM_TRY(wal.open(connection.get(), database.wal_path()));
    is_mapped = true;
    return {};
}

// The record that fits what SQLite found in the WAL; or the WAL is gone and the database file is as our own
// close left it.
Status Applier::Impl::find_state() {
    LITESTREAM_TRY(begin());
    const WalIndexHeader header = wal.header();
    auto record = log.find(header);
    if (!record && header.frame_count == 0) {
        const BelowFile file = open_below(database.path());
        const auto closed_at = check_clean_close(database.store().path(), database.path(),
                                                 file ? read_first_bytes(file.get()) : Bytes());
        const auto newest = log.newest();
        if (closed_at && newest && newest->state.position == *closed_at) record = newest;
    }
    abort();
    if (!record) {
        if (log.newest()) reset_reason = kUnknownState;
        return {};
    }
    expected = header;
    state = next_state = record->state;
    publish_state();
    return {};
}

// --- One batch ---

// WRITE, and the header is the one that is expected.
Status Applier::Impl::begin() {
    if (has_begun) return {};
    const std::int64_t deadline = steady_clock_ms() + kLockTimeoutMs;
    while (true) {
        auto begun = wal.begin();
        if (begun) break;
        if (steady_clock_ms() >= deadline || begun.error().code == ErrorCode::kIo) return begun;
        if (begun.error().code == ErrorCode::kCorrupt) {
            (void)exec("SELECT count(*) FROM sqlite_master");  // SQLite recovers the wal-index
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(kLockNapMs));
    }
    has_begun = true;
    if (!expected) return {};
    const WalIndexHeader& now = wal.header();
    const bool was_reset = now.frame_count == 0 && now.change == expected->change;
    if (is_same_content(now, *expected) || was_reset) return {};
    forget(kForeign);
    return corrupt(database.path() + ": " + kForeign);
}

void Applier::Impl::abort() {
    if (has_begun) wal.end();
    has_begun = false;
    batch.clear();
    has_commits = false;
    next_state = state;
}

void Applier::Impl::forget(const char* why) {
    state = {};
    expected.reset();
    reset_reason = why;
    record_event(database.path(), "replica_foreign_write", why);
    abort();
}

// A batch that became too large before its commit: its frames go into the WAL, where nobody looks yet.
Status Applier::Impl::spill() {
    LITESTREAM_TRY(begin());
    LITESTREAM_TRY(wal.prepare(batch.page_size()));
    (void)wal.seal(batch.frames(), batch.page_size(), 0);
    LITESTREAM_TRY(wal.write(batch.frames(), batch.page_size()));
    batch.clear();
    return {};
}

Status Applier::Impl::flush() {
    if (!has_commits) return {};
    auto written = write_batch();
    if (written) {
        checkpoint_if_due();
        return written;
    }
    abort();
    return written;
}

Status Applier::Impl::write_batch() {
    const bool has_spilled = has_begun;
    LITESTREAM_TRY(begin());
    if (!has_spilled) LITESTREAM_TRY(wal.prepare(batch.page_size()));
    batch.end_commit(page_count);
    const WalIndexHeader header = wal.seal(batch.frames(), batch.page_size(), page_count);
    LITESTREAM_TRY(log.append({next_state, header.salts, header.frame_count, header.frame_checksum}));
    LITESTREAM_TRY(wal.write(batch.frames(), batch.page_size()));
    LITESTREAM_TRY(wal.publish(header));
    wal.end();
    has_begun = false;
    expected = header;
    state = next_state;
    reset_reason.clear();
    batch.clear();
    has_commits = false;
    is_idle = false;
    publish_state();
    return {};
}

void Applier::Impl::publish_state() { database.publish_applied(state, *expected); }

// PASSIVE waits for nobody; as long as nothing is applied meanwhile it comes to the end, and the next batch
// finds a log that it can begin anew.
void Applier::Impl::checkpoint_if_due() {
    const std::uint32_t frames = expected->frame_count;
    if (frames < checkpointed_frames) checkpointed_frames = 0;
    const std::uint64_t bytes = std::uint64_t{frames - checkpointed_frames} * expected->page_size;
    if (bytes < kCheckpointBytes) return;
    checkpointed_frames = frames;
    (void)exec("PRAGMA wal_checkpoint(PASSIVE)");
}

// --- The interface ---

Applier::Applier(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Applier::~Applier() { impl_->abort(); }

Result<std::unique_ptr<Applier>> Applier::open(Database& database) {
    auto impl = std::make_unique<Impl>(database);
    LITESTREAM_TRY(impl->open());
    return std::unique_ptr<Applier>(new Applier(std::move(impl)));
}

const std::string& Applier::reset_reason() const { return impl_->reset_reason; }
SourceState Applier::state() const { return impl_->state; }

std::uint32_t Applier::page_size() const {
    return impl_->is_mapped ? static_cast<std::uint32_t>(impl_->ask("PRAGMA page_size")) : 0;
}

Status Applier::add_page(std::uint32_t page_no, ByteView page) {
    Impl& self = *impl_;
    if (self.batch.is_full() && !self.batch.has(page_no)) {
        if (auto spilled = self.spill(); !spilled) {
            self.abort();
            return spilled;
        }
    }
    self.batch.add(page_no, page);
    return {};
}

Status Applier::end_commit(std::uint32_t page_count, const SourceState& state) {
    impl_->page_count = page_count;
    impl_->next_state = state;
    impl_->has_commits = true;
    return impl_->batch.is_full() ? impl_->flush() : Status();
}

Status Applier::flush() { return impl_->flush(); }
void Applier::set_state(const SourceState& state) { impl_->state = impl_->next_state = state; }

Status Applier::apply_image(const File& image, std::uint32_t page_size, std::uint32_t page_count,
                            const SourceState& state) {
    Impl& self = *impl_;
    self.abort();
    std::uint32_t first = 1;
    std::uint32_t last = page_count;
    if (!self.is_mapped) {
        LITESTREAM_TRY(
            write_first_image(self.connection.get(), self.database.path(), image, page_size, page_count));
        LITESTREAM_TRY(self.map());
        last = 1;  // in the WAL, so that a record can name what was applied
    } else if (const std::uint32_t own = this->page_size(); own != page_size) {
        return bad_input(self.database.path() + ": its page size is " + std::to_string(own) +
                         ", the primary's is " + std::to_string(page_size) + "; follow it with a new file");
    }
    self.expected.reset();
    const auto old_cookie = static_cast<std::uint32_t>(self.ask("PRAGMA schema_version"));
    Bytes page(page_size);
    for (; first <= last; ++first) {
        LITESTREAM_TRY(image.read_exactly_at(std::uint64_t{first - 1} * page_size, page));
        if (first == 1 && last > 1) renew_cookie(page, old_cookie);
        LITESTREAM_TRY(add_page(first, page));
    }
    LITESTREAM_TRY(end_commit(page_count, state));
    return flush();
}

void Applier::idle() {
    Impl& self = *impl_;
    if (self.is_idle || !self.is_mapped || !self.expected) return;
    self.is_idle = true;
    if (self.expected->frame_count > self.wal.backfilled_frames()) {
        (void)self.exec("PRAGMA wal_checkpoint(PASSIVE)");
    }
}

}  // namespace litestream
