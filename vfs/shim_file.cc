#include "vfs/shim_file.h"

#include "vfs/clean_close.h"
#include "vfs/pass_methods.h"
#include "vfs/registry.h"
#include "vfs/shim_vfs.h"

namespace litestream {

namespace {

int lock_file_below(ShimFile* self, int level) {
    return self->below()->pMethods->xLock(self->below(), level);
}

// The last closer wants the file for itself and will delete the WAL: BUSY leaves the WAL where it is. A
// change of mode that somebody asked for only waits for capture, since BUSY would be an error of ours. In a
// forked child the mutexes of the database may be held for ever.
int lock_exclusive(ShimFile* self) {
    Database& database = self->db();
    const bool may_lose_wal = self->region0 != nullptr || self->holds_exclusive;
    const bool is_asked_for = self->wants_exclusive || self->leaves_wal;
    if (may_lose_wal && !database.drain() && !is_asked_for) return SQLITE_BUSY;
    int rc = lock_file_below(self, SQLITE_LOCK_EXCLUSIVE);
    if (rc == SQLITE_BUSY && is_asked_for) {
        const NoPins no_pins(database);
        rc = lock_file_below(self, SQLITE_LOCK_EXCLUSIVE);
    }
    if (rc != SQLITE_OK) return rc;
    self->holds_exclusive = true;
    self->wants_exclusive = false;
    if (self->region0 != nullptr || database.exclusive().kind() != ExclusiveWal::Kind::kNone) {
        database.on_exclusive_lock();
    }
    return rc;
}

int x_lock(sqlite3_file* file, int level) {
    ShimFile* self = ShimFile::from(file);
    const bool is_exclusive = level == SQLITE_LOCK_EXCLUSIVE && !is_forked_child();
    if (level == SQLITE_LOCK_RESERVED && self->db().is_replica()) return SQLITE_READONLY;
    return is_exclusive ? lock_exclusive(self) : lock_file_below(self, level);
}

void leave_exclusive(ShimFile* self) {
    if (!self->holds_exclusive) return;
    self->holds_exclusive = false;
    self->leaves_wal = false;
    if (is_forked_child()) return;
    const Bytes first = read_first_bytes(self->below());
    self->db().on_exclusive_unlock(first);
}

int x_unlock(sqlite3_file* file, int level) {
    ShimFile* self = ShimFile::from(file);
    leave_exclusive(self);
    return self->below()->pMethods->xUnlock(self->below(), level);
}

int x_close(sqlite3_file* file) {
    ShimFile* self = ShimFile::from(file);
    // In a forked child the database's mutexes may be held for ever: its memory is left alone.
    if (!is_forked_child()) {
        leave_exclusive(self);
        self->db().on_unmap(self);
        const std::unique_ptr<std::shared_ptr<Database>> database(self->database);
        self->registry->release(*database, self->is_internal);
    }
    self->base.pMethods = nullptr;
    return self->below()->pMethods->xClose(self->below());
}

// In WAL mode only checkpoints write here. While an image is read that no lock of the wal-index protects,
// they stop as if a reader were in their way: SQLite takes BUSY for just that (wal.c, walCheckpoint).
int x_write(sqlite3_file* file, const void* data, int amount, sqlite3_int64 offset) {
    ShimFile* self = ShimFile::from(file);
    if (self->holds_exclusive && !is_forked_child() && self->db().exclusive().has_readers()) {
        return SQLITE_BUSY;
    }
    return self->below()->pMethods->xWrite(self->below(), data, amount, offset);
}

// Of SQLITE_FCNTL_PRAGMA: {result, name, argument}.
void note_pragma(ShimFile* self, const char* const* pragma) {
    if (pragma[2] == nullptr) return;
    const auto is = [&](const char* name) { return sqlite3_stricmp(pragma[1], name) == 0; };
    if (is("locking_mode")) self->wants_exclusive = sqlite3_stricmp(pragma[2], "exclusive") == 0;
    if (is("journal_mode")) self->leaves_wal = sqlite3_stricmp(pragma[2], "wal") != 0;
}

// Pragmas that would take a live replica out of WAL mode or lock its readers out: SQLite does not ask for
// WRITE.
bool is_refused_on_replica(ShimFile* self, char** pragma) {
    if (!self->db().is_replica() || !(self->leaves_wal || self->wants_exclusive)) return false;
    self->leaves_wal = self->wants_exclusive = false;
    pragma[0] = sqlite3_mprintf(
        "attempt to write a readonly database: %s is not changed on a live replica; "
        "SELECT litestream_stream_stop('{\"promote\":true}') makes it writable",
        pragma[1]);
    return true;
}

int x_file_control(sqlite3_file* file, int op, void* arg) {
    ShimFile* self = ShimFile::from(file);
    if (op == kFcntlShimFile) {
        *static_cast<ShimFile**>(arg) = self;
        return SQLITE_OK;
    }
    if (op == SQLITE_FCNTL_PRAGMA) {
        note_pragma(self, static_cast<char**>(arg));
        if (is_refused_on_replica(self, static_cast<char**>(arg))) return SQLITE_ERROR;
    }
    // Without locks on the wal-index this is where a commit is public; with them, the WRITE unlock was.
    const bool is_commit = op == SQLITE_FCNTL_COMMIT_PHASETWO && self->holds_exclusive;
    if (is_commit && !is_forked_child()) self->db().on_exclusive_commit();
    const int rc = self->below()->pMethods->xFileControl(self->below(), op, arg);
    if (op == SQLITE_FCNTL_VFSNAME && rc == SQLITE_OK) {
        auto** name = static_cast<char**>(arg);
        *name = sqlite3_mprintf("litestream/%z", *name);
    }
    return rc;
}

int x_shm_map(sqlite3_file* file, int region, int size, int extend, void volatile** out) {
    ShimFile* self = ShimFile::from(file);
    const int rc = self->below()->pMethods->xShmMap(self->below(), region, size, extend, out);
    if (region == 0 && self->region0 == nullptr && *out != nullptr &&
        (rc == SQLITE_OK || rc == SQLITE_READONLY)) {
        self->region0 = *out;
        if (!is_forked_child()) self->db().on_map(self, *out);
    }
    return rc;
}

int x_shm_unmap(sqlite3_file* file, int delete_flag) {
    ShimFile* self = ShimFile::from(file);
    self->region0 = nullptr;
    if (!is_forked_child()) self->db().on_unmap(self);
    return self->below()->pMethods->xShmUnmap(self->below(), delete_flag);
}

int lock_below(ShimFile* self, int first, int count, int flags) {
    return self->below()->pMethods->xShmLock(self->below(), first, count, flags);
}

// READ1..4 exclusive: the WAL is about to lose its frames. A writer is never kept waiting: BUSY makes it
// append. It also gets CKPT for the duration, without which a checkpoint that runs at the same time can go
// wrong in SQLite before 3.51.3 ("WAL-reset bug", https://sqlite.org/wal.html#walresetbug).
int lock_for_reset(ShimFile* self, int first, int count, int flags) {
    const bool is_checkpoint = self->holds_checkpoint;
    if (!(is_checkpoint ? self->db().may_reset() : self->db().may_restart())) return SQLITE_BUSY;
    if (!is_checkpoint) {
        if (lock_below(self, kCheckpointLock, 1, SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE) != SQLITE_OK) {
            return SQLITE_BUSY;
        }
        self->shields_reset = true;
    }
    const int rc = lock_below(self, first, count, flags);
    if (rc != SQLITE_OK && self->shields_reset) {
        self->shields_reset = false;
        lock_below(self, kCheckpointLock, 1, SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE);
    }
    if (rc == SQLITE_OK) self->db().on_restart_granted();
    return rc;
}

int unlock_after_reset(ShimFile* self, int first, int count, int flags) {
    self->db().on_restarted();
    const int rc = lock_below(self, first, count, flags);
    if (self->shields_reset) {
        self->shields_reset = false;
        lock_below(self, kCheckpointLock, 1, SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE);
    }
    return rc;
}

// Which locks this handle holds, after the VFS below has granted or dropped one.
void note_lock(ShimFile* self, int first, int count, int flags) {
    const bool is_lock = (flags & SQLITE_SHM_LOCK) != 0;
    const bool is_shared = (flags & SQLITE_SHM_SHARED) != 0;
    if (is_shared && first >= kReadLock0) self->read_lock = is_lock ? first - kReadLock0 : -1;
    if (!is_shared && first <= kCheckpointLock && first + count > kCheckpointLock)
        self->holds_checkpoint = is_lock;
}

// WRITE for a transaction, which holds a READ lock by then (wal.c, sqlite3WalBeginWriteTransaction). Without
// one it is for a recovery, and with CKPT for a checkpoint, which a replica's readers may do.
bool is_refused_on_replica(ShimFile* self, int first, int flags) {
    const bool is_for_writing = first == kWriteLock && (flags & SQLITE_SHM_LOCK) != 0 &&
                                self->read_lock >= 0 && !self->holds_checkpoint;
    return is_for_writing && self->db().is_replica();
}

int x_shm_lock(sqlite3_file* file, int first, int count, int flags) {
    ShimFile* self = ShimFile::from(file);
    const bool is_exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
    const bool is_lock = (flags & SQLITE_SHM_LOCK) != 0;
    if (is_exclusive && is_refused_on_replica(self, first, flags)) return SQLITE_READONLY;
    if (is_exclusive && !is_forked_child()) {
        const bool is_reset = first == kReadLock1 && count == kReadMarks - 1;
        if (is_reset) {
            return is_lock ? lock_for_reset(self, first, count, flags)
                           : unlock_after_reset(self, first, count, flags);
        }
        // Still under WRITE: what the header says now is what the next holder finds.
        if (!is_lock && first == kWriteLock) self->db().on_write_unlock(read_change(self->region0));
    }
    const int rc = lock_below(self, first, count, flags);
    if (rc != SQLITE_OK) return rc;
    note_lock(self, first, count, flags);
    if (is_exclusive && is_lock && first == kWriteLock && !is_forked_child()) self->db().on_write_lock();
    return rc;
}

constexpr sqlite3_io_methods methods_of_version(int version) {
    sqlite3_io_methods methods = pass_methods<ShimFile>(version);
    methods.xClose = x_close;
    methods.xWrite = x_write;
    methods.xLock = x_lock;
    methods.xUnlock = x_unlock;
    methods.xFileControl = x_file_control;
    if (version >= 2) {
        methods.xShmMap = x_shm_map;
        methods.xShmLock = x_shm_lock;
        methods.xShmUnmap = x_shm_unmap;
    }
    return methods;
}

constexpr auto kMethods = method_tables(methods_of_version);

}  // namespace

const sqlite3_io_methods* shim_file_methods(int below_version) { return table_for(kMethods, below_version); }

Bytes read_first_bytes(sqlite3_file* below) {
    Bytes bytes(kCleanCloseHeaderBytes);
    sqlite3_int64 size = 0;
    const bool is_readable =
        below->pMethods->xFileSize(below, &size) == SQLITE_OK &&
        size >= static_cast<sqlite3_int64>(bytes.size()) &&
        below->pMethods->xRead(below, bytes.data(), static_cast<int>(bytes.size()), 0) == SQLITE_OK;
    return is_readable ? bytes : Bytes();
}

}  // namespace litestream
