#include "shared/base/random.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <random>

#include "shared/base/text.h"

namespace litestream {
namespace {

// At most 256 bytes: the kernel then never gives fewer and is never interrupted, once it has been seeded.
bool fill_from_kernel(ByteSpan bytes) {
    return ::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size());
}

void fill_from_library(ByteSpan bytes) {
    std::random_device device;
    std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<std::uint8_t>(device()); });
}

}  // namespace

std::string random_hex(std::size_t bytes) {
    std::array<std::uint8_t, 64> buffer = {};
    const ByteSpan used = ByteSpan(buffer).first(std::min(bytes, buffer.size()));
    if (!fill_from_kernel(used)) fill_from_library(used);
    return to_hex(used);
}

}  // namespace litestream
