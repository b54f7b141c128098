#include "shared/base/crc32.h"
#include "tests/fuzz/check.h"
#include "tests/support/temp_directory.h"
#include "vfs/wal_marks.h"

using namespace litestream;

namespace {

constexpr std::size_t kCrcOffset = 44;

// A mark that reads is written and reads the same.
void check(const std::string& folder, ByteView bytes) {
    claim(write_file_atomically(join_path(folder, "restarted"), bytes, 0600).has_value());
    const auto mark = read_wal_mark(folder, WalMarkKind::kRestarted);
    if (!mark) return;
    claim(WalMarkFile::open(folder, WalMarkKind::kCaptured, 0600)->write(*mark).has_value());
    const auto back = read_wal_mark(folder, WalMarkKind::kCaptured);
    claim(back.has_value() && *back == *mark);
}

}  // namespace

// As it is, and with a checksum that is right.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const TempDirectory directory;
    check(directory.path(), {data, size});
    Bytes repaired(data, data + std::min(size, kCrcOffset));
    repaired.resize(kCrcOffset + 4);
    store_be32(repaired.data() + kCrcOffset, crc32(0, ByteView(repaired).first(kCrcOffset)));
    check(directory.path(), repaired);
    return 0;
}
