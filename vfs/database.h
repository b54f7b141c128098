// Database: one database file that this process has open through our VFS. It knows the handles' mappings of
// the wal-index, keeps the segment store, and publishes how far capture has come.
//
// Thread-safe: SQLite's threads call the on_* functions from VFS callbacks (they ring, they wait at most
// kDrainMs, they never do store I/O except at open and close, and for the marks of a WAL that begins anew);
// the capture thread runs capture().
// Lock order: a SQLite lock or mutex stands above all of ours; shm_mutex_ and state_mutex_ are innermost, but
// for the guard's mutex below shm_mutex_.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "shared/store/replica_target.h"
#include "shared/store/segment_store.h"
#include "vfs/capture_thread.h"
#include "vfs/clean_close.h"
#include "vfs/exclusive_wal.h"
#include "vfs/wal_index.h"
#include "vfs/wal_marks.h"

namespace litestream {

class Capture;
class ResetGuard;

// How long a checkpoint that resets the WAL, or a close, waits for capture before it is answered BUSY.
constexpr int kDrainMs = 100;
// How long the last handle of a process that leaves waits for capture, if capture is well.
constexpr int kLastUnmapMs = 2000;
// Past this size of the WAL the gate opens: the disk fills otherwise. What is lost begins a new generation.
constexpr std::uint64_t kGateLimitBytes = std::uint64_t{1} << 30;

// One life of the WAL, as captured: what a wal-index header means as a position.
struct CapturedLife {
    Position end;      // behind the last captured commit
    Salts salts = {};  // all zero: the WAL has had no frames yet
    std::uint32_t frames = 0;
    WalChecksum chain;         // of the last captured frame, as stored
    bool is_reframed = false;  // the stored chain differs from SQLite's own
    std::uint32_t change = 0;  // iChange at `end`
    std::uint32_t page_size = 0;
    std::uint64_t previous_end = 0;
    WalChecksum previous_checksum;
    std::string predecessor;
    bool is_known = false;
};

// Evidence gathered when SQLite opens the WAL, under its SHARED lock, before it can have changed anything.
struct OpenEvidence {
    bool wal_was_empty = false;  // absent, or no more than a header or a part of one: no frames
    // As the last close left the file, or the last checkpoint that cut the WAL off (vfs/clean_close.h). Where
    // the WAL has bytes, only a close of this boot counts.
    std::optional<Position> closed_at;
    std::optional<Position> rested_at;
    // The life of the WAL that was there already, if it began right behind that close.
    std::optional<WalMark> begun;
};

class Database {
  public:
    // `path`: as SQLite names it (absolute, links resolved).
    Database(std::string path, CaptureThread& thread);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    const std::string& path() const { return path_; }
    std::string wal_path() const { return path_ + "-wal"; }
    Result<unsigned> file_mode() const;  // of files beside it: its read and write permissions
    SegmentStore& store() { return store_; }
    const SegmentStore& store() const { return store_; }

    // Until somebody wants it, nothing is captured and nobody waits: the callbacks pass. Where the WAL is
    // open by then, capture begins as if it were opened now, with no more proof than its frames.
    void want_capture();
    void unwant_capture();  // the call that wanted it failed
    bool wants_capture() const { return wants_capture_.load(); }
    // The application's last handle is going: only handles of ours come now.
    void set_closing() { is_closing_.store(true); }
    bool is_closing() const { return is_closing_.load(); }

    // --- A live replica ---

    // Read-only through our VFS but for the applier; never captured. Found at the first open by the file
    // `applied` in the meta directory, begun and ended here (the file is made and removed).
    bool is_replica() const { return is_replica_.load(); }
    Status begin_replica();  // kInput: it is captured; unreplicate and close it first
    // Promotion. Once capture is wanted, a generation begins for this reason.
    Status end_replica(const std::string& reason);
    std::string promoted() const;  // that reason, until the generation has begun; ""
    void end_promotion();
    // Where the replica is, and when the last commit was made there (0: unknown).
    Position applied() const;
    std::int64_t applied_commit_ms() const;
    // The applier: from now on the database is at `state` as long as its wal-index says `header`.
    // `commits`: applied since it follows.
    void publish_applied(const SourceState& state, const WalIndexHeader& header, std::uint64_t commits);
    std::uint64_t applied_commits() const { return applied_commits_.load(); }
    std::optional<SourceState> applied_state() const;
    // Of a moment that is not long past; nullopt: not known (any more).
    std::optional<SourceState> applied_at(const WalIndexHeader& header) const;
    // False: not within the time, or `stop` said so (asked four times a second).
    bool wait_applied(const Position& position, int timeout_ms, const std::function<bool()>& stop = nullptr);

    // --- Called from VFS callbacks, on SQLite's threads ---

    // The WAL is about to be opened. `first_bytes`: up to 100 bytes from the start of the database file.
    void on_wal_open(ByteView first_bytes, bool powersafe_overwrite);
    void on_map(const void* handle, const volatile void* region0);
    void on_unmap(const void* handle);
    // The WRITE lock was granted; it is about to be released: what the wal-index says now is public.
    void on_write_lock() { is_writing_.store(true); }
    void on_write_unlock(std::uint32_t change);
    // WAL_RESTART by a writer: never waits. True: capture has everything that would be lost. Standing by, the
    // holder's mark is asked (vfs/wal_marks.h).
    bool may_restart();
    // RESTART, TRUNCATE, close, journal mode change: waits up to kDrainMs.
    bool drain();
    // The same for a checkpoint that resets the WAL.
    bool may_reset();
    // WRITE is held, the WAL still is as it was, and is begun anew next; it has been; the header of its new
    // life is about to be written (also where there was no WAL). They leave the mark that lets capture go on
    // here after a kill -9.
    void on_restart_granted();
    void on_restarted();
    // Between the two, where a checkpoint cuts the WAL off: everything is in the database file, of which
    // these are the first bytes. It waits for a tick of the kernel's clock if need be (vfs/clean_close.h).
    void on_wal_cut(Bytes first_bytes);
    void on_wal_begins(ByteView header);
    // The last closer has EXCLUSIVE and has deleted the WAL: remember it, right before the lock goes.
    void on_wal_deleted() { wal_deleted_.store(true); }
    void on_exclusive_unlock(ByteView first_bytes);

    // One handle has EXCLUSIVE and works on (vfs/exclusive_wal.h): it was granted; SQLite opened a WAL whose
    // wal-index it keeps to itself; a commit is public; the WAL begins anew with these bytes, or is cut off
    // (a commit may wait here, up to kDrainMs, but never fails); the WAL is closing.
    void on_exclusive_lock();
    void on_heap_wal_open();
    void on_exclusive_commit();
    void on_wal_reset(ByteView header);
    void on_wal_truncate(std::uint64_t size_bytes);
    void on_exclusive_wal_close();
    ExclusiveWal& exclusive() { return exclusive_; }

    // --- Any thread ---

    void ring();
    std::optional<WalIndexHeader> wal_index_header() const;
    void set_gate_limit(std::uint64_t wal_bytes) { gate_limit_bytes_.store(wal_bytes); }  // for tests
    // As the database file said when its WAL was opened here last; 0: it was not yet, or nothing is in it.
    // The wal-index tells only once there are frames.
    std::uint32_t page_size() const { return page_size_.load(); }
    bool is_mapped() const;  // WAL mode, and its state can be seen: capture can work
    // Waits until everything that is committed now is captured. False: not within the time, or `stop` said so
    // (asked four times a second).
    bool wait_captured(int timeout_ms, const std::function<bool()>& stop = nullptr);
    std::string capture_error() const;  // "" while all is well
    // Another process captures this database, as capture_error() says. Its commits and ours are safe there;
    // here no wait for capture succeeds and no gate opens.
    bool is_standing_by() const { return is_standing_by_.load(); }
    // Times that standing by ended, or that the meta directory became another one.
    std::uint32_t take_overs() const { return take_overs_.load(); }
    std::uint64_t pending_wal_bytes() const;  // committed in the WAL, not captured yet
    // The current life and the one before.
    void captured_lives(CapturedLife& current, CapturedLife& previous) const;

    // As far as the mark of the process that captures tells.
    bool is_captured_by_holder(const WalIndexHeader& header) const;

    // --- The capture thread ---

    Capture& capture() { return *capture_; }
    bool has_powersafe_overwrite() const { return powersafe_overwrite_.load(); }
    bool take_ring() { return rung_.load() && rung_.exchange(false); }
    bool has_rung() const { return rung_.load(); }
    // A file that is watched was written, by whomever.
    void touch() {
        touched_.store(true);
        rung_.store(true);
    }
    // Whether this process is writing; whether the last commit was another's.
    bool is_writing() const { return is_writing_.load(); }
    bool is_change_of_others(std::uint32_t change) const { return change != own_change_.load(); }
    ResetGuard& reset_guard() { return *reset_guard_; }
    bool take_touch() { return touched_.exchange(false); }
    bool watch(const std::string& path, FileWatch::Event event) { return thread_.watch(*this, path, event); }
    std::optional<OpenEvidence> take_evidence();
    bool has_evidence() const;
    void publish_captured(const CapturedLife& current, const CapturedLife& previous);
    void set_capture_error(const std::string& message);
    void stand_by(const std::string& why);
    void end_stand_by(bool has_lost_store);
    bool take_written() { return has_written_.exchange(false); }
    void put_back_written() { has_written_.store(true); }

  private:
    bool is_captured(const WalIndexHeader& header) const;
    std::optional<Position> captured_position(const WalIndexHeader& header) const;
    std::optional<Position> restarted_at(const WalIndexHeader& header) const;
    void mark_restart(const Position& position, const Salts& salts);
    bool is_last_mapping(const void* handle) const;
    std::optional<WalIndexHeader> mapped_header() const;

    const std::string path_;
    CaptureThread& thread_;
    SegmentStore store_;
    std::unique_ptr<Capture> capture_;
    const std::unique_ptr<ResetGuard> reset_guard_;

    std::atomic<bool> wants_capture_ = false;
    std::atomic<bool> is_closing_ = false;
    std::atomic<bool> is_replica_ = false;
    std::atomic<std::uint64_t> applied_commits_ = 0;
    std::atomic<bool> rung_ = false;
    std::atomic<bool> touched_ = false;
    std::atomic<bool> is_writing_ = false;       // this process holds WRITE
    std::atomic<std::uint32_t> own_change_ = 0;  // iChange when it let go of WRITE last
    std::atomic<bool> has_written_ = false;      // a commit of this process, perhaps captured by nobody
    std::atomic<bool> is_standing_by_ = false;
    std::atomic<std::uint32_t> take_overs_ = 0;
    std::atomic<bool> wal_deleted_ = false;
    std::atomic<std::uint64_t> gate_limit_bytes_ = kGateLimitBytes;
    std::atomic<bool> is_drained_ = false;  // the last drain() found or got everything captured
    std::atomic<bool> powersafe_overwrite_ = true;
    std::atomic<std::uint32_t> page_size_ = 0;
    // Where capture is. One writer, the capture thread; a reader that sees the same salts before and after
    // has a matching count of frames. Compared by the gate, which may take no mutex.
    std::atomic<std::uint64_t> captured_salts_ = 0;
    std::atomic<std::uint32_t> captured_frames_ = 0;
    std::atomic<std::uint32_t> captured_change_ = 0;
    std::atomic<bool> has_captured_ = false;

    struct Mapping {
        const void* handle;
        const volatile void* region0;
    };
    mutable std::mutex shm_mutex_;
    std::vector<Mapping> mappings_;  // guarded by shm_mutex_: while it is held, region 0 stays mapped

    ExclusiveWal exclusive_;

    mutable std::mutex state_mutex_;
    mutable std::condition_variable captured_;
    // Guarded by state_mutex_:
    std::optional<OpenEvidence> evidence_;
    CapturedLife current_;
    CapturedLife previous_;
    std::string capture_error_;
    std::optional<Position> restarts_at_;  // between on_restart_granted() and on_restarted()
    struct Applied {
        SourceState state;
        WalIndexHeader header;
    };
    std::deque<Applied> applied_;       // the newest one last
    std::string promoted_;              // reason of the generation that is to begin
    std::uint64_t stand_by_looks_ = 0;  // looks that found another process at work
    friend class ImagePin;
    friend class NoPins;
    int pins_ = 0;
    std::condition_variable unpinned_;
    std::atomic<bool> pins_must_go_ = false;
};

// An image that a transaction of ours protects. It keeps the application from EXCLUSIVE, which plain SQLite
// would grant: the image gives up when asked. It outlives that transaction's connection.
class ImagePin {
  public:
    explicit ImagePin(Database& database);
    ~ImagePin();
    ImagePin(const ImagePin&) = delete;
    ImagePin& operator=(const ImagePin&) = delete;
    bool is_granted() const { return is_granted_; }  // false: EXCLUSIVE is being asked for just now
    bool must_go() const { return database_.pins_must_go_.load(); }

  private:
    Database& database_;
    bool is_granted_;
};

// No image while this lives; those there are have kDrainMs to go.
class NoPins {
  public:
    explicit NoPins(Database& database);
    ~NoPins();
    NoPins(const NoPins&) = delete;
    NoPins& operator=(const NoPins&) = delete;

  private:
    Database& database_;
};

}  // namespace litestream
