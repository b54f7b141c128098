// AppliedLog: where a live replica is, in the file `applied` of the meta directory: 512 slots of 128 bytes,
// used in turn. A record names a state of the source and how the local WAL looks once that state is in it. It
// is written before the frames: after any crash the wal-index, as SQLite recovers it, says which record
// holds.
//
//   0 sequence number u64, 8 generation, 16 index, 24 offset of the source's position, 32 commit time in ms
//  40 page size u32, 44 has header u32, 48 the source's WAL header (32), 80 its checksum at the position (8)
//  88 salts of the local WAL (8), 96 frames u32, 100 checksum of the last of them (8)
// 108 CRC-32 of bytes 0 to 107, then zeros. All big-endian.
//
// Before the local WAL begins anew, records of 0 frames say where the replica is while it has none yet: the
// database file then holds all. Byte 100 of those: CRC-32 of the machine's boot, then zeros.
//
// Its being there makes the database a replica. Not synced: after power loss a state without its record is
// healed by a snapshot, and records of 0 frames prove nothing. Thread-bound.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "shared/base/file.h"
#include "shared/store/replica_target.h"
#include "vfs/wal_index.h"

namespace litestream {

struct AppliedRecord {
    SourceState state;
    Salts salts = {};  // of the local WAL
    std::uint32_t frames = 0;
    WalChecksum checksum;

    // SQLite recovers no checksum from a WAL without commits.
    bool is_of(const WalIndexHeader& header) const;
};

class AppliedLog {
  public:
    static std::string path_in(const std::string& meta_path);

    // Creates the file if need be; a damaged slot counts as unused.
    Status open(const std::string& meta_path, unsigned mode);
    Status append(const AppliedRecord& record);
    // Of 0 frames. Nothing is noted where a later boot could not be told from this one.
    Status append_empty(const SourceState& state, const Salts& salts);
    // The newest that fits. One of 0 frames holds as long as no more than one batch can have been applied
    // since: one may be applied twice, since frames are whole pages; several would show old among new ones.
    std::optional<AppliedRecord> find(const WalIndexHeader& header) const;
    std::optional<AppliedRecord> newest() const;

  private:
    File file_;
    std::uint64_t next_ = 1;
    std::vector<AppliedRecord> found_;  // at open(), then appended to; oldest first
};

}  // namespace litestream
