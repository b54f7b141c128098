#include "vfs/applied_log.h"

#include "shared/base/crc32.h"
#include "tests/fuzz/check.h"
#include "tests/support/temp_directory.h"

using namespace litestream;

namespace {

constexpr std::size_t kSlotSize = 128;
constexpr std::size_t kCrcOffset = 108;

WalIndexHeader header_of(const AppliedRecord& record) {
    WalIndexHeader header;
    header.frame_count = record.frames;
    header.salts = record.salts;
    header.frame_checksum = record.checksum;
    return header;
}

void check(ByteView bytes) {
    const TempDirectory directory;
    const std::string path = AppliedLog::path_in(directory.path());
    claim(write_file_atomically(path, bytes, 0600).has_value());
    AppliedLog log;
    claim(log.open(directory.path(), 0600).has_value());
    const auto newest = log.newest();
    if (!newest) return;
    claim(newest->state.position.generation.size() == 16);
    claim(newest->frames == 0 || log.find(header_of(*newest)));  // those of another boot prove nothing

    // What goes on behind it is newest then, also to whoever opens the log again.
    AppliedRecord next = *newest;
    next.frames = newest->frames == 1 ? 2 : 1;
    claim(log.append(next).has_value());
    AppliedLog again;
    claim(again.open(directory.path(), 0600).has_value());
    const auto found = again.find(header_of(next));
    claim(found.has_value() && found->state == next.state);
}

}  // namespace

// As it is, and with the checksum of every slot made right, so that the values are reached.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    check({data, size});
    Bytes repaired(data, data + size);
    for (std::size_t at = 0; at + kSlotSize <= size; at += kSlotSize) {
        std::uint8_t* slot = repaired.data() + at;
        store_be32(slot + kCrcOffset, crc32(0, ByteView(slot, kCrcOffset)));
    }
    check(repaired);
    return 0;
}
