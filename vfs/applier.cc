#include "vfs/applier.h"

#include <chrono>
#include <thread>

#include "shared/base/clock.h"
#include "shared/base/events.h"
#include "vfs/applier_impl.h"
#include "vfs/clean_close.h"
#include "vfs/first_image.h"
#include "vfs/shim_file.h"

namespace litestream {

namespace {

constexpr std::uint64_t kCheckpointBytes = 16u << 20;  // of WAL since the last attempt
constexpr int kLockTimeoutMs = 10'000;
constexpr int kLockNapMs = 1;
constexpr const char* kForeign = "another program wrote to this replica; a snapshot replaces what it wrote";

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

// The log begins anew, if it does, before the first frame of a batch and never within one.
Status Applier::Impl::begin_batch() {
    if (has_begun) return {};
    LITESTREAM_TRY(begin());
    return wal.prepare(batch.page_size(), [this](const Salts& salts) {
        return expected ? log.append_empty(state, salts) : Status();  // else who knows what is in there
    });
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
    LITESTREAM_TRY(begin_batch());
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
    LITESTREAM_TRY(begin_batch());
    batch.end_commit(page_count);
    const WalIndexHeader header = wal.seal(batch.frames(), batch.page_size(), page_count);
    LITESTREAM_TRY(log.append({next_state, header.salts, header.frame_count, header.frame_checksum}));
    LITESTREAM_TRY(wal.write(batch.frames(), batch.page_size()));
    if (auto published = wal.publish(header); !published) {
        abort();
        expected.reset();
        (void)find_state();  // in the WAL it may be, for the recovered wal-index to tell
        return published;
    }
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

void Applier::Impl::publish_state() { database.publish_applied(state, *expected, commits); }

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

// Nothing more comes for now. The database file takes everything, where no reader is in the way, and what it
// then is goes on record before the WAL is cut off: from then on, as when whoever closes the database last
// deletes the WAL, what the log's records are about is gone.
void Applier::Impl::settle() {
    if (!is_mapped || !expected || has_begun || expected->frame_count == 0) return;
    (void)exec("PRAGMA wal_checkpoint(PASSIVE)");
    if (!note_rest()) return;
    sqlite3_busy_timeout(connection.get(), 0);
    const bool is_done = ask("PRAGMA wal_checkpoint(TRUNCATE)") == 0;
    sqlite3_busy_timeout(connection.get(), kBusyTimeoutMs);
    if (!is_done || !begin()) return;
    if (wal.header().frame_count == 0) {
        expected = wal.header();
        publish_state();
    }
    abort();
}

// Under WRITE, with no frames left to copy, nobody writes to the database file.
bool Applier::Impl::note_rest() {
    if (!begin()) return false;
    sqlite3_file* file = nullptr;
    sqlite3_file_control(connection.get(), "main", SQLITE_FCNTL_FILE_POINTER, &file);
    const bool is_noted = wal.is_all_in_file() && file != nullptr &&
                          write_rest(database.store().path(), RestKind::kClosed, database.path(),
                                     {state.position, read_first_bytes(file)}, mode);
    abort();
    return is_noted;
}

// --- The interface ---

Applier::Applier(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Applier::~Applier() {
    impl_->abort();
    impl_->settle();
}

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
    ++impl_->commits;
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

Status Applier::idle() {
    if (!impl_->is_mapped || !impl_->expected) return {};
    auto begun = impl_->begin();
    if (!begun && begun.error().code == ErrorCode::kBusy) return {};
    impl_->abort();
    LITESTREAM_TRY(begun);
    if (!impl_->is_idle) impl_->settle();
    impl_->is_idle = true;
    return {};
}

}  // namespace litestream
