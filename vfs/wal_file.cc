#include "vfs/wal_file.h"

#include <array>

#include "vfs/shim_vfs.h"

namespace litestream {

namespace {

template <auto Method, typename... Args>
auto pass(sqlite3_file* file, Args... args) {
    sqlite3_file* below = WalFile::from(file)->below();
    return (below->pMethods->*Method)(below, args...);
}

bool is_alone(const WalFile* self) { return self->main->holds_exclusive && !is_forked_child(); }

int x_close(sqlite3_file* file) {
    WalFile* self = WalFile::from(file);
    if (is_alone(self)) self->main->db().on_exclusive_wal_close();
    self->base.pMethods = nullptr;
    return self->below()->pMethods->xClose(self->below());
}

// What the bytes mean that SQLite writes: the header of a new life (at 0), the header of a frame, or a page.
int write_alone(WalFile* self, const void* data, int amount, sqlite3_int64 offset) {
    Database& database = self->main->db();
    const ByteView bytes(static_cast<const std::uint8_t*>(data), static_cast<std::size_t>(amount));
    if (offset == 0) database.on_wal_reset(bytes);
    const int rc = self->below()->pMethods->xWrite(self->below(), data, amount, offset);
    if (rc != SQLITE_OK) {
        database.exclusive().drop_candidate();
    } else if (bytes.size() == kFrameHeaderSize) {
        database.exclusive().on_frame_header(FrameHeader::decode(bytes.data()),
                                             static_cast<std::uint64_t>(offset));
    }
    return rc;
}

int x_write(sqlite3_file* file, const void* data, int amount, sqlite3_int64 offset) {
    WalFile* self = WalFile::from(file);
    if (is_alone(self)) return write_alone(self, data, amount, offset);
    return self->below()->pMethods->xWrite(self->below(), data, amount, offset);
}

int x_truncate(sqlite3_file* file, sqlite3_int64 size) {
    WalFile* self = WalFile::from(file);
    if (is_alone(self)) self->main->db().on_wal_truncate(static_cast<std::uint64_t>(size));
    return self->below()->pMethods->xTruncate(self->below(), size);
}

int x_sync(sqlite3_file* file, int flags) {
    WalFile* self = WalFile::from(file);
    const int rc = self->below()->pMethods->xSync(self->below(), flags);
    if (rc != SQLITE_OK && is_alone(self)) self->main->db().exclusive().drop_candidate();
    return rc;
}

constexpr sqlite3_io_methods methods_of_version(int version) {
    sqlite3_io_methods methods = {};
    methods.iVersion = version;
    methods.xClose = x_close;
    methods.xRead = pass<&sqlite3_io_methods::xRead, void*, int, sqlite3_int64>;
    methods.xWrite = x_write;
    methods.xTruncate = x_truncate;
    methods.xSync = x_sync;
    methods.xFileSize = pass<&sqlite3_io_methods::xFileSize, sqlite3_int64*>;
    methods.xLock = pass<&sqlite3_io_methods::xLock, int>;
    methods.xUnlock = pass<&sqlite3_io_methods::xUnlock, int>;
    methods.xCheckReservedLock = pass<&sqlite3_io_methods::xCheckReservedLock, int*>;
    methods.xFileControl = pass<&sqlite3_io_methods::xFileControl, int, void*>;
    methods.xSectorSize = pass<&sqlite3_io_methods::xSectorSize>;
    methods.xDeviceCharacteristics = pass<&sqlite3_io_methods::xDeviceCharacteristics>;
    if (version >= 2) {
        methods.xShmMap = pass<&sqlite3_io_methods::xShmMap, int, int, int, void volatile**>;
        methods.xShmLock = pass<&sqlite3_io_methods::xShmLock, int, int, int>;
        methods.xShmBarrier = pass<&sqlite3_io_methods::xShmBarrier>;
        methods.xShmUnmap = pass<&sqlite3_io_methods::xShmUnmap, int>;
    }
    if (version >= 3) {
        methods.xFetch = pass<&sqlite3_io_methods::xFetch, sqlite3_int64, int, void**>;
        methods.xUnfetch = pass<&sqlite3_io_methods::xUnfetch, sqlite3_int64, void*>;
    }
    return methods;
}

constexpr std::array<sqlite3_io_methods, 3> kMethods = {methods_of_version(1), methods_of_version(2),
                                                        methods_of_version(3)};

}  // namespace

const sqlite3_io_methods* wal_file_methods(int below_version) {
    return &kMethods[static_cast<std::size_t>(std::min(std::max(below_version, 1), 3)) - 1];
}

}  // namespace litestream
