#include "vfs/wal_file.h"

#include "vfs/pass_methods.h"
#include "vfs/shim_file.h"
#include "vfs/shim_vfs.h"

namespace litestream {

namespace {

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
    if (offset == 0 && !is_forked_child()) {
        self->main->db().on_wal_begins(
            {static_cast<const std::uint8_t*>(data), static_cast<std::size_t>(amount)});
    }
    return self->below()->pMethods->xWrite(self->below(), data, amount, offset);
}

int x_truncate(sqlite3_file* file, sqlite3_int64 size) {
    WalFile* self = WalFile::from(file);
    if (is_alone(self)) {
        self->main->db().on_wal_truncate(static_cast<std::uint64_t>(size));
    } else if (size == 0 && self->main->holds_checkpoint && !is_forked_child()) {
        self->main->db().on_wal_cut(read_first_bytes(self->main->below()));
    }
    return self->below()->pMethods->xTruncate(self->below(), size);
}

int x_sync(sqlite3_file* file, int flags) {
    WalFile* self = WalFile::from(file);
    const int rc = self->below()->pMethods->xSync(self->below(), flags);
    if (rc != SQLITE_OK && is_alone(self)) self->main->db().exclusive().drop_candidate();
    return rc;
}

constexpr sqlite3_io_methods methods_of_version(int version) {
    sqlite3_io_methods methods = pass_methods<WalFile>(version);
    methods.xClose = x_close;
    methods.xWrite = x_write;
    methods.xTruncate = x_truncate;
    methods.xSync = x_sync;
    return methods;
}

constexpr auto kMethods = method_tables(methods_of_version);

}  // namespace

const sqlite3_io_methods* wal_file_methods(int below_version) { return table_for(kMethods, below_version); }

}  // namespace litestream
