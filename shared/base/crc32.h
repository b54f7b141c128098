// CRC-32 (ISO-HDLC, as in zlib). Reentrant.
#pragma once

#include <cstdint>

#include "shared/base/bytes.h"

namespace litestream {

// Continue `crc` (0 at the start) over `bytes`.
std::uint32_t crc32(std::uint32_t crc, ByteView bytes);

}  // namespace litestream
