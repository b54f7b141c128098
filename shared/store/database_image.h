// DatabaseImage: the whole database at one position, pinned while this object lives: the source of a
// snapshot. Never blocks writers; a checkpoint may have to wait, so a user reads it swiftly and lets go.
// Thread-bound; a pin belongs to the thread that took it.
#pragma once

#include <memory>

#include "shared/format/trailer.h"

namespace litestream {

class DatabaseImage {
  public:
    virtual ~DatabaseImage() = default;
    // A snapshot's trailer, all but its content CRC: position, page size and count, salts, time.
    virtual const Trailer& trailer() const = 0;
    // One page, from 1; `page` has page_size bytes.
    virtual Status read_page(std::uint32_t page_no, ByteSpan page) = 0;
};

class ImageSource {
  public:
    virtual ~ImageSource() = default;
    // Thread-safe. kBusy: the database changed faster than it could be pinned; try again later.
    virtual Result<std::unique_ptr<DatabaseImage>> pin() = 0;
};

}  // namespace litestream
