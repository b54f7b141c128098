// ReplicaTarget: the database of a live replica, as whoever follows a primary sees it (implemented above
// SQLite's WAL). What is handed over here was verified as a whole before: readers see it once a call returns,
// each call's states only whole commits, in order.
//
// Thread-bound: the follower's thread.
#pragma once

#include <cstdint>

#include "shared/base/file.h"
#include "shared/format/position.h"
#include "shared/format/wal.h"

namespace litestream {

// How far a replica is, in the terms of what it follows, with all that the next frame is checked against.
struct SourceState {
    Position position;        // empty: nothing applied yet
    bool has_header = false;  // of the WAL of position.index; without it offset is 0
    WalHeader header;
    WalChecksum chain;  // at the position; with offset 0 or 32 the header's
    std::uint32_t page_size = 0;
    std::int64_t time_ms = 0;  // when the last commit was made; 0: unknown

    bool operator==(const SourceState&) const = default;
};

class ReplicaTarget {
  public:
    virtual ~ReplicaTarget() = default;

    virtual SourceState state() const = 0;
    // The application's page size; 0 while the database is empty.
    virtual std::uint32_t page_size() const = 0;

    // The whole database becomes that of `image`, page_count pages from offset 0, in one transaction.
    // kInput: another page size than the replica has.
    virtual Status apply_image(const File& image, std::uint32_t page_size, std::uint32_t page_count,
                               const SourceState& state) = 0;

    // Frames of one or more whole commits. Nothing shows before end_commit(); commits may become visible
    // together. The page is not kept beyond the call.
    virtual Status add_page(std::uint32_t page_no, ByteView page) = 0;
    // The pages since the last commit are one, after which the database has `page_count` pages.
    virtual Status end_commit(std::uint32_t page_count, const SourceState& state) = 0;
    // Makes all commits so far visible. After an error: everything since the last flush is to be given again,
    // from state() on.
    virtual Status flush() = 0;
    // The source went on without a frame: a new index began, say. Durable with the next commit only.
    virtual void set_state(const SourceState& state) = 0;
};

}  // namespace litestream
