// SnapshotSpool: a snapshot that waits to be sent, in an unlinked temporary file of the meta directory, as it
// is stored in replicas: lz4 and trailer. It is made at the speed of the disk, so that the pin on the
// database is held no longer than copying takes, whoever receives it.
//
// Thread-bound: made by a worker, then handed over to the I/O thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "shared/base/file.h"
#include "shared/format/trailer.h"
#include "shared/store/database_image.h"
#include "shared/store/segment_store.h"

namespace litestream {

struct SnapshotSpool {
    File file;
    std::uint64_t size_bytes = 0;
    Trailer trailer;
    Bytes wal_header;  // of the index of its position; empty where that has offset 0

    Position position() const { return trailer.end(); }
    std::uint64_t database_bytes() const { return std::uint64_t{trailer.page_size} * trailer.page_count; }
};

// Blocks; for workers. kBusy: as ImageSource::pin(). kInterrupt: `is_cancelled` became true.
Result<SnapshotSpool> make_spool(SegmentStore& store, ImageSource& images,
                                 const std::atomic<bool>& is_cancelled);

}  // namespace litestream
