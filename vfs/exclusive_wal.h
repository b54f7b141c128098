// ExclusiveWal: what stands in for the wal-index while one handle has the database for itself
// (PRAGMA locking_mode=EXCLUSIVE). SQLite then takes no locks on the wal-index, and there is no WRITE unlock
// that says when a commit is public: what counts is the target, published at SQLITE_FCNTL_COMMIT_PHASETWO.
//
//   shared   entered after the first use of the WAL: the wal-index is still there, the target is its header
//   heap     entered before: SQLite keeps the wal-index in its own memory, unseen. The target is what the WAL
//            held when it was opened, then the last frame header with a commit size that was written, which a
//            failed write or sync takes back. Its `change` counts the commits published since the open.
//
// Before SQLite overwrites or cuts off what the target names it calls for a new one (Database::on_wal_reset),
// so that whoever finds the target unchanged behind a read has read frames of that life. Frames without
// checksums are framed anew as in shared mode: the target vouches for them.
//
// Not seen in heap mode: that a commit was taken back without an error of its own files, as when another
// attached database fails in the same COMMIT. An empty transaction right behind it publishes those frames;
// the next commit overwrites them, and capture then begins a new generation.
//
// Thread-safe. One SQLite thread at a time changes it. mutex_ is innermost.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>

#include "vfs/wal_index.h"

namespace litestream {

class ExclusiveWal {
  public:
    enum class Kind { kNone, kShared, kHeap };

    Kind kind() const { return kind_.load(); }
    std::optional<WalIndexHeader> target() const;  // nullopt: kNone

    void begin_shared(const WalIndexHeader& header);
    void publish_shared(const WalIndexHeader& header);
    void begin_heap(const WalIndexHeader& recovered);
    void end();

    // The WAL is going to begin anew: no frames. `header`: the new one, null where it is only cut off.
    void reset(const WalHeader* header);

    // Heap only: a frame header was written at `offset`; a write or sync failed; the commit is public.
    void on_frame_header(const FrameHeader& header, std::uint64_t offset);
    void drop_candidate();
    void publish_candidate();

    // A reader of an image, who has no lock on the wal-index to rely on: checkpoints wait for it, so that the
    // database file and the frames up to `header` are the database of that moment, for as long as it is
    // unbroken. What it read counts if it is unbroken after the read.
    struct Reader {
        WalIndexHeader header;
        std::uint64_t turn = 0;
    };
    // nullopt: not now. Nobody reads between EXCLUSIVE and the first commit behind it: it may be a last
    // close, whose checkpoint must not be kept from writing.
    std::optional<Reader> begin_read();
    void end_read(const Reader& reader);
    bool is_unbroken(const Reader& reader) const { return reader.turn == turn_.load(); }
    bool has_readers() const { return readers_.load() > 0; }
    void forbid_readers();  // and breaks those that are there

  private:
    void break_readers();

    std::atomic<Kind> kind_ = Kind::kNone;
    mutable std::mutex mutex_;
    // Guarded by mutex_:
    WalIndexHeader target_;
    std::optional<WalIndexHeader> candidate_;
    bool may_read_ = false;
    std::atomic<std::uint64_t> turn_ = 0;  // written under mutex_
    std::atomic<int> readers_ = 0;         // of this turn; written under mutex_
};

// What SQLite's recovery will find in the WAL: the valid chain up to its last commit. Empty or not a WAL: no
// frames. Only while nobody else can write it.
Result<WalIndexHeader> scan_wal(const std::string& path);

}  // namespace litestream
