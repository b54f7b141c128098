// WalAppender: appends frames to the WAL and the wal-index of a database, in the order that keeps stock
// readers right at every moment (wal.c; https://sqlite.org/walformat.html). It works on the handle of an idle
// connection of ours, below our VFS, whose reads have mapped the wal-index; SQLite's own bookkeeping of locks
// in this process so includes us. The -wal carries no locks and is written through a descriptor of its own.
//
//   begin()    WRITE; the header is looked at; the log is restarted if it is all in the database file
//   write()    frames that no reader looks at yet
//   publish()  page numbers and hash slots, then the header: second copy, barrier, first copy
//   end()      WRITE is released
//
// Thread-bound.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "shared/base/file.h"
#include "vfs/sqlite.h"
#include "vfs/wal_index.h"

namespace litestream {

class WalAppender {
  public:
    // `connection` is in WAL mode and has read once; it runs nothing between begin() and end().
    Status open(sqlite3* connection, const std::string& wal_path);

    // kBusy: somebody else has WRITE. kCorrupt: the header is not whole: a read by SQLite recovers it.
    Status begin();
    void end();
    const WalIndexHeader& header() const { return header_; }  // as of begin(), or as published
    // Checkpoints have copied every frame.
    bool is_all_in_file() const { return backfilled_frames() == header_.frame_count; }

    // Before the first frame: where every frame is in the database file and nobody reads from the WAL, the
    // log starts anew; where it has no frames, its header is written and synced. Never waits for a reader.
    // `note_empty` hears before anything changes with which salts the log may be found without frames.
    using NoteEmpty = std::function<Status(const Salts&)>;
    Status prepare(std::uint32_t page_size, const NoteEmpty& note_empty);
    // As the file has it; the wal-index has no salts where SQLite recovered it from a header alone.
    Result<WalHeader> header_in_file() const;

    // `frames`: whole ones with page numbers and commit sizes filled in; they get salts and checksums behind
    // what was sealed before. The header as it will be once they are written and published.
    WalIndexHeader seal(ByteSpan frames, std::uint32_t page_size, std::uint32_t page_count);
    Status write(ByteView sealed_frames, std::uint32_t page_size);
    // Makes `header` (seal's) that of the database. Where a page number finds no place in the wal-index,
    // which a program must have damaged, the header is invalidated instead: the next reader builds the index
    // anew from the WAL and finds the same commit there.
    Status publish(const WalIndexHeader& header);

  private:
    std::uint32_t backfilled_frames() const;
    Status map(std::uint32_t region);
    bool restart(const Salts& salts);
    Status start_wal(std::uint32_t page_size, const Salts& salts);
    bool index_frame(std::uint32_t frame_no, std::uint32_t page_no);
    void clean_behind(std::uint32_t frame_no);
    void store_header(const WalIndexHeader& header);
    void invalidate();
    int lock(int first, int count, int flags);

    sqlite3_file* file_ = nullptr;
    File wal_;
    std::vector<volatile std::uint32_t*> regions_;
    WalIndexHeader header_;
    WalChecksum chain_;                    // behind the last sealed frame
    std::uint32_t written_ = 0;            // frames in the WAL
    std::vector<std::uint32_t> page_nos_;  // of the frames sealed and not published
};

}  // namespace litestream
