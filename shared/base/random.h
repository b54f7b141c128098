// Random bytes from the kernel, as lower-case hex. Thread-safe.
#pragma once

#include <cstddef>
#include <string>

namespace litestream {

std::string random_hex(std::size_t bytes);  // 2 characters a byte; at most 64 bytes

}  // namespace litestream
