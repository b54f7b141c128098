#include "vfs/wal_marks.h"

#include <fcntl.h>

#include <algorithm>
#include <array>

#include "shared/base/crc32.h"
#include "shared/base/directory.h"
#include "shared/base/text.h"
#include "shared/format/stream_record.h"

namespace litestream {

namespace {

constexpr std::size_t kMarkSize = 48;
constexpr std::size_t kCrcOffset = 44;
constexpr int kReadTries = 5;  // a read that meets a write may see half of each

using MarkBytes = std::array<std::uint8_t, kMarkSize>;

std::string path_of(const std::string& meta_path, WalMarkKind kind) {
    return join_path(meta_path, kind == WalMarkKind::kCaptured ? "captured" : "restarted");
}

MarkBytes encode(const WalMark& mark) {
    MarkBytes bytes = {};
    store_be64(bytes.data(), generation_number(mark.position.generation));
    store_be64(bytes.data() + 8, mark.position.index);
    store_be64(bytes.data() + 16, mark.position.offset);
    std::ranges::copy(mark.salts, bytes.begin() + 24);
    store_be32(bytes.data() + 32, mark.frames);
    store_be32(bytes.data() + 36, mark.checksum.s0);
    store_be32(bytes.data() + 40, mark.checksum.s1);
    store_be32(bytes.data() + kCrcOffset, crc32(0, ByteView(bytes).first(kCrcOffset)));
    return bytes;
}

std::optional<WalMark> decode(const MarkBytes& bytes) {
    if (load_be32(bytes.data() + kCrcOffset) != crc32(0, ByteView(bytes).first(kCrcOffset)))
        return std::nullopt;
    WalMark mark;
    mark.position = {to_hex16(load_be64(bytes.data())), load_be64(bytes.data() + 8),
                     load_be64(bytes.data() + 16)};
    std::copy_n(bytes.begin() + 24, mark.salts.size(), mark.salts.begin());
    mark.frames = load_be32(bytes.data() + 32);
    mark.checksum = {load_be32(bytes.data() + 36), load_be32(bytes.data() + 40)};
    return mark;
}

}  // namespace

Result<WalMarkFile> WalMarkFile::open(const std::string& meta_path, WalMarkKind kind, unsigned mode) {
    WalMarkFile mark;
    LITESTREAM_ASSIGN(mark.file_, File::open(path_of(meta_path, kind), O_WRONLY | O_CREAT, mode));
    return mark;
}

Status WalMarkFile::write(const WalMark& mark) { return file_.write_at(0, encode(mark)); }

std::optional<WalMark> read_wal_mark(const std::string& meta_path, WalMarkKind kind) {
    const auto file = File::open(path_of(meta_path, kind), O_RDONLY);
    if (!file) return std::nullopt;
    for (int i = 0; i < kReadTries; ++i) {
        MarkBytes bytes = {};
        if (!file->read_exactly_at(0, bytes)) return std::nullopt;
        if (auto mark = decode(bytes)) return mark;
    }
    return std::nullopt;
}

}  // namespace litestream
