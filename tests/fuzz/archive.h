// Several files in one input: for each, the size of its name in one byte, the name, the size of its content
// in two bytes (big-endian; as much as there is), the content. Names are paths below the folder that they are
// unpacked into; those that would leave it are passed over. Reentrant.
#pragma once

#include "shared/base/directory.h"
#include "tests/fuzz/check.h"

namespace litestream {

inline bool stays_below(std::string_view name) {
    if (name.empty() || name.front() == '/' || name.find('\0') != std::string_view::npos) return false;
    return ("/" + std::string(name) + "/").find("/../") == std::string::npos;
}

inline void unpack(ByteView bytes, const std::string& folder) {
    constexpr int kMaxFiles = 64;
    const auto take = [&bytes](std::size_t size) {
        const ByteView taken = bytes.first(std::min(size, bytes.size()));
        bytes = bytes.subspan(taken.size());
        return taken;
    };
    for (int i = 0; i < kMaxFiles && !bytes.empty(); i++) {
        const std::string name(as_text(take(take(1)[0])));
        const ByteView size = take(2);
        const ByteView content = take(size.size() == 2 ? size[0] << 8 | size[1] : 0);
        if (!stays_below(name)) continue;
        const std::string path = join_path(folder, name);
        if (!make_directories(parent_directory(path), 0700)) continue;  // a file is in the way
        (void)write_file_atomically(path, content, 0600).has_value();   // a folder may be
    }
}

}  // namespace litestream
