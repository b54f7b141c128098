// Applier: writes what a live replica receives into its database as SQLite itself would: frames of its own
// behind the local WAL, under the WRITE lock, then the wal-index (wal.c; https://sqlite.org/walformat.html).
// Readers of any program keep their snapshots, and see whole commits only.
//
// Where the replica is stands in the file `applied` of the meta directory (vfs/applied_log.h), whose being
// there is also what makes the database a replica: read-only to everyone but this.
//
// Thread-bound: the follower's thread.
#pragma once

#include <memory>
#include <string>

#include "shared/store/replica_target.h"
#include "vfs/database.h"

namespace litestream {

class Applier final : public ReplicaTarget {
  public:
    // The database is open through our VFS, has the replica's role, and outlives this. kBusy: another process
    // follows here, or has it locked: try again later.
    static Result<std::unique_ptr<Applier>> open(Database& database);
    ~Applier() override;

    // Why state() is empty although there was one: "another program wrote to this replica". Else "".
    const std::string& reset_reason() const;

    SourceState state() const override;
    std::uint32_t page_size() const override;
    Status apply_image(const File& image, std::uint32_t page_size, std::uint32_t page_count,
                       const SourceState& state) override;
    Status add_page(std::uint32_t page_no, ByteView page) override;
    Status end_commit(std::uint32_t page_count, const SourceState& state) override;
    Status flush() override;
    void set_state(const SourceState& state) override;

    // Nothing came for a while: looks whether a stranger wrote meanwhile (kCorrupt, and state() is empty),
    // and checkpoints once.
    Status idle();

  private:
    struct Impl;
    explicit Applier(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace litestream
