#include "vfs/capture_lock.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "shared/base/directory.h"
#include "shared/format/path.h"
#include "shared/format/position.h"
#include "shared/format/trailer.h"

namespace litestream {

namespace {

constexpr const char* kLockName = "capture-lock";

// The position file says where the last segment begins, the segment where it ends.
Result<Trailer> last_segment(const std::string& meta_path) {
    LITESTREAM_ASSIGN(const Bytes bytes, read_file(join_path(meta_path, "position"), 4096));
    LITESTREAM_ASSIGN(const Position start, Position::parse(as_text(bytes).substr(0, kPositionTextSize)));
    const std::string name = segment_path(start.generation, start.index, start.offset);
    LITESTREAM_ASSIGN(const File file, File::open(join_path(meta_path, name), O_RDONLY));
    LITESTREAM_ASSIGN(const auto trailer, read_trailer(file));
    if (!trailer) return corrupt(file.path() + ": has no trailer");
    return *trailer;
}

}  // namespace

Result<bool> CaptureLock::try_take(const std::string& meta_path, unsigned database_mode) {
    LITESTREAM_TRY(make_real_directory(meta_path, database_mode | (database_mode & 0444) >> 2));
    return lock_.try_lock(join_path(meta_path, kLockName), database_mode);
}

std::string CaptureLock::holder_text() const {
    const pid_t holder = lock_.holder();
    const std::string who = holder > 0 ? "pid " + std::to_string(holder) : "its pid cannot be told";
    return "another process captures this database (" + who + ")";
}

bool is_captured_by_holder(const std::string& meta_path, const WalIndexHeader& header) {
    if (header.frame_count == 0) return true;
    const auto trailer = last_segment(meta_path);
    return trailer && trailer->salts == header.salts &&
           trailer->end_offset >= wal_size(header.frame_count, header.page_size);
}

}  // namespace litestream
