// Capture: brings everything that the wal-index calls committed from the WAL into the segment store, as whole
// commits with a valid frame chain, and proves from look to look that nothing is missing in between, or
// begins a new generation and says why.
//
// The proof. Within one life of the WAL (same salts, our last frame still in its place) frames are only ever
// appended. Across lives the wal-index's iChange counts commits: it must have grown by exactly the commits
// that were read since. When the -shm was new (a reopen), only files speak: the WAL still holds our last
// frame, or it was absent and the clean-close record fits.
//
// What the wal-index says is committed is captured even where SQLite's own chain is broken (before 3.50.2 it
// can commit frames with zero salt and checksum): such frames are framed anew, so that the stored chain
// verifies.
//
// Only the process that holds the capture lock does this; the others stand by (vfs/capture_lock.h).
//
// Thread-bound: the capture thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "shared/base/file.h"
#include "vfs/capture_lock.h"
#include "vfs/database.h"
#include "vfs/wal_marks.h"
#include "vfs/wal_reader.h"

namespace litestream {

class Capture {
  public:
    explicit Capture(Database& database) : database_(database) {}

    // Everything committed by now. Errors go to the database's status and are retried with back-off.
    void look();
    std::int64_t retry_ms() const { return retry_ms_; }  // steady clock; -1: no retry is due
    // The database is closing, and nobody looks any more: another process may capture it.
    void end();

  private:
    enum class Progress { kDone, kAgain };  // kAgain: the WAL moved on meanwhile

    Result<Progress> try_look();
    // In capture_beside.cc.
    Result<bool> take_lock();
    bool watches_holder();
    void stand_by(const WalIndexHeader& header);
    void begin_to_expect();
    void expect_commit();
    void end_expecting();
    bool is_more_in_wal(const Salts& salts, std::uint32_t frames) const;

    Status start(const WalIndexHeader& header, const OpenEvidence& evidence);
    Status open_store();
    std::optional<std::string> cannot_continue(const WalIndexHeader& header, const OpenEvidence& evidence);
    bool is_begun_behind_end(const std::optional<WalMark>& mark, const WalIndexHeader& header) const;
    std::optional<std::string> begin_behind(const WalIndexHeader& header);
    Result<Progress> advance(const WalIndexHeader& header);
    Result<Progress> continue_life(const WalIndexHeader& header);
    Result<Progress> change_life(const WalIndexHeader& header);
    Status salvage(std::uint32_t commits);
    Result<Progress> copy_life(const WalIndexHeader& header);
    // Both in capture_copy.cc.
    Result<Progress> copy_segment(const WalIndexHeader& header);
    Status begin_generation(const std::string& reason, const WalIndexHeader& header);
    Status begin_life(const WalIndexHeader& header);
    bool still_in_life(const Salts& salts) const;
    bool accounts_for(const CommitCount& count, std::uint32_t commits) const;
    void publish(const WalIndexHeader& header);

    // One segment being read from the WAL.
    struct Copy;
    Status copy_frames(Copy& copy);
    Status copy_frame(Copy& copy, std::uint8_t* frame);
    Trailer trailer_for(const Copy& copy) const;

    Database& database_;
    bool started_ = false;
    bool is_salvaging_ = false;
    bool has_lost_store_ = false;  // the meta directory is another one than the one in use before
    CaptureLock lock_;
    std::optional<OpenEvidence> evidence_;
    std::optional<std::string> requested_;  // why somebody needs a new generation
    WalReader wal_;
    CapturedLife life_;
    CapturedLife previous_;
    WalMarkFile captured_mark_;  // since start()
    WalMark marked_;             // as it stands there
    WordOrder word_order_ = WordOrder::kLittle;
    WalChecksum source_chain_;  // of the last captured frame, as it stands in the WAL
    std::int64_t last_commit_ms_ = 0;
    std::int64_t retry_ms_ = -1;
    int failures_ = 0;
    bool is_holder_watched_ = false;
    std::int64_t expected_until_ms_ = 0;  // steady clock; 0: no commit of others is expected
    int expecting_looks_ = 0;
    std::int64_t next_generation_ms_ = 0;  // steady clock; not before, if others cause it
};

}  // namespace litestream
