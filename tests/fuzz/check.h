// What the fuzz targets share. A target turns any bytes into calls of one decoder; that it neither crashes
// nor trips a sanitizer is half of the test, the other half are the claims that it makes through claim().
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "shared/base/stream.h"

namespace litestream {

// Holds for every input, or the program ends here, which is what a fuzzer looks for.
inline void claim(bool holds) {
    if (!holds) std::abort();
}

// A sink that stops at `limit_bytes`: a few bytes of lz4 may hold gigabytes.
inline Sink append_up_to(Bytes& out, std::size_t limit_bytes) {
    return [&out, limit_bytes](ByteView bytes) -> Status {
        if (out.size() + bytes.size() > limit_bytes) return corrupt("more than the fuzzer wants");
        out.insert(out.end(), bytes.begin(), bytes.end());
        return {};
    };
}

}  // namespace litestream

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
