// Base64 with padding, as HTTP's headers want it (RFC 4648, section 4). Reentrant.
#pragma once

#include <string>

#include "shared/base/bytes.h"

namespace litestream {

std::string to_base64(ByteView bytes);

}  // namespace litestream
