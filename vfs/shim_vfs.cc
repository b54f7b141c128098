#include "vfs/shim_vfs.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <string_view>

#include "shared/base/file.h"
#include "vfs/applied_log.h"
#include "vfs/shim_file.h"
#include "vfs/wal_file.h"

namespace litestream {

namespace {

constexpr const char* kVfsName = "litestream";
constexpr std::string_view kWalSuffix = "-wal";
constexpr std::size_t kNameWords = 2;  // 16 bytes: what follows stays aligned

// Set once, before the VFS is registered.
Registry* g_registry = nullptr;
sqlite3_vfs* g_below = nullptr;
sqlite3_vfs g_shim = {};

std::atomic<bool> g_is_used = false;
std::atomic<bool> g_is_forked_child = false;
thread_local int t_internal_opens = 0;

// A file whose commits we can see: a named, writable main database.
bool is_watched(const char* name, int flags) {
    constexpr int kWanted = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_READWRITE;
    return name != nullptr && (flags & kWanted) == kWanted && (flags & SQLITE_OPEN_DELETEONCLOSE) == 0 &&
           sqlite3_uri_boolean(name, "immutable", 0) == 0;
}

// Somebody chose us for this database: by its URI, or by zVfs, which counts only while it could not have been
// left out.
bool is_by_name(const char* name) {
    const char* vfs = sqlite3_uri_parameter(name, "vfs");
    if (vfs != nullptr && std::strcmp(vfs, kVfsName) == 0) return true;
    return sqlite3_vfs_find(nullptr) != &g_shim;
}

void open_database(ShimFile* self, const char* name) {
    self->registry = g_registry;
    self->is_internal = t_internal_opens > 0;
    self->database = new std::shared_ptr<Database>(g_registry->acquire(name, self->is_internal));
    if (self->is_internal) return;
    Database& database = self->db();
    const bool is_replica = file_exists(AppliedLog::path_in(database.store().path()));
    if (is_replica && !database.wants_capture()) (void)database.begin_replica();
    if (!database.is_replica() && (is_by_name(name) || file_exists(database.store().path()))) {
        database.want_capture();
    }
    g_registry->tell_open(*self->database, name);
}

int open_watched(const char* name, sqlite3_file* file, int flags, int* out_flags) {
    note_use();
    auto* self = new (file) ShimFile{};
    self->read_lock = -1;
    const int rc = g_below->xOpen(g_below, name, self->below(), flags, out_flags);
    const sqlite3_io_methods* below_methods = self->below()->pMethods;
    // The VFS below may fail and still leave a file that has to be closed
    // (https://sqlite.org/c3ref/vfs.html).
    if (rc != SQLITE_OK) {
        if (below_methods != nullptr) below_methods->xClose(self->below());
        return rc;
    }
    open_database(self, name);
    self->base.pMethods = shim_file_methods(below_methods->iVersion);
    return rc;
}

// The handle of the database that this WAL belongs to; null: not one of ours.
ShimFile* main_file_of_wal(const char* name) {
    const std::string_view wal = name;
    if (!wal.ends_with(kWalSuffix)) return nullptr;
    if (!g_registry->find(std::string(wal.substr(0, wal.size() - kWalSuffix.size())))) return nullptr;
    sqlite3_file* file = sqlite3_database_file_object(name);
    ShimFile* self = nullptr;
    const bool is_ours = file != nullptr && file->pMethods != nullptr &&
                         file->pMethods->xFileControl(file, kFcntlShimFile, &self) == SQLITE_OK;
    return is_ours ? self : nullptr;
}

// SQLite opens the WAL under its SHARED lock on the main file, before it reads or writes it. Under EXCLUSIVE
// it will keep the wal-index in its own memory (pager.c, pagerOpenWal).
int open_wal(ShimFile* main, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    const int device = main->below()->pMethods->xDeviceCharacteristics(main->below());
    main->db().on_wal_open(read_first_bytes(main->below()), (device & SQLITE_IOCAP_POWERSAFE_OVERWRITE) != 0);
    auto* self = new (file) WalFile{};
    self->main = main;
    const int rc = g_below->xOpen(g_below, name, self->below(), flags, out_flags);
    const sqlite3_io_methods* below_methods = self->below()->pMethods;
    if (rc != SQLITE_OK) {
        if (below_methods != nullptr) below_methods->xClose(self->below());
        return rc;
    }
    if (main->holds_exclusive) main->db().on_heap_wal_open();
    self->base.pMethods = wal_file_methods(below_methods->iVersion);
    return rc;
}

// A live replica stays read-only in a forked child too, though nothing of ours watches it there.
int open_in_forked_child(const char* name, sqlite3_file* file, int flags, int* out_flags) {
    const int rc = g_below->xOpen(g_below, name, file, flags, out_flags);
    const bool is_replica = rc == SQLITE_OK && is_watched(name, flags) &&
                            file_exists(AppliedLog::path_in(SegmentStore::path_for(name)));
    if (is_replica) *out_flags = (*out_flags & ~SQLITE_OPEN_READWRITE) | SQLITE_OPEN_READONLY;
    return rc;
}

int x_open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    file->pMethods = nullptr;
    if (is_forked_child()) return open_in_forked_child(name, file, flags, out_flags);
    try {
        if (is_watched(name, flags)) return open_watched(name, file, flags, out_flags);
        ShimFile* main = (flags & SQLITE_OPEN_WAL) != 0 && name != nullptr ? main_file_of_wal(name) : nullptr;
        if (main != nullptr) return open_wal(main, name, file, flags, out_flags);
    } catch (const std::bad_alloc&) {
        return SQLITE_NOMEM;
    }
    return g_below->xOpen(g_below, name, file, flags, out_flags);
}

int x_delete(sqlite3_vfs*, const char* name, int sync_directory) {
    const std::string_view path = name;
    const int rc = g_below->xDelete(g_below, name, sync_directory);
    if (rc == SQLITE_OK && path.ends_with(kWalSuffix) && !is_forked_child()) {
        const auto database = g_registry->find(std::string(path.substr(0, path.size() - kWalSuffix.size())));
        if (database) database->on_wal_deleted();
    }
    return rc;
}

template <auto Method, typename... Args>
auto pass(sqlite3_vfs*, Args... args) {
    return (g_below->*Method)(g_below, args...);
}

void fill_shim(sqlite3_vfs* below) {
    g_shim.iVersion = std::min(3, below->iVersion);
    g_shim.szOsFile = below->szOsFile + static_cast<int>(sizeof(ShimFile));
    g_shim.mxPathname = below->mxPathname;
    g_shim.zName = kVfsName;
    g_shim.xOpen = x_open;
    g_shim.xDelete = x_delete;
    g_shim.xAccess = pass<&sqlite3_vfs::xAccess, const char*, int, int*>;
    g_shim.xFullPathname = pass<&sqlite3_vfs::xFullPathname, const char*, int, char*>;
    g_shim.xDlOpen = pass<&sqlite3_vfs::xDlOpen, const char*>;
    g_shim.xDlError = pass<&sqlite3_vfs::xDlError, int, char*>;
    g_shim.xDlSym = [](sqlite3_vfs*, void* library, const char* symbol) {
        return g_below->xDlSym(g_below, library, symbol);
    };
    g_shim.xDlClose = pass<&sqlite3_vfs::xDlClose, void*>;
    g_shim.xRandomness = pass<&sqlite3_vfs::xRandomness, int, char*>;
    g_shim.xSleep = pass<&sqlite3_vfs::xSleep, int>;
    g_shim.xCurrentTime = pass<&sqlite3_vfs::xCurrentTime, double*>;
    g_shim.xGetLastError = pass<&sqlite3_vfs::xGetLastError, int, char*>;
    if (below->iVersion >= 2)
        g_shim.xCurrentTimeInt64 = pass<&sqlite3_vfs::xCurrentTimeInt64, sqlite3_int64*>;
    if (below->iVersion >= 3) {
        g_shim.xSetSystemCall = pass<&sqlite3_vfs::xSetSystemCall, const char*, sqlite3_syscall_ptr>;
        g_shim.xGetSystemCall = pass<&sqlite3_vfs::xGetSystemCall, const char*>;
        g_shim.xNextSystemCall = pass<&sqlite3_vfs::xNextSystemCall, const char*>;
    }
}

ShimFile* shim_file_of(sqlite3* connection, const char* schema) {
    ShimFile* self = nullptr;
    const int rc = sqlite3_file_control(connection, schema, kFcntlShimFile, &self);
    return rc == SQLITE_OK ? self : nullptr;
}

}  // namespace

int register_shim_vfs(Registry& registry) {
    if (g_registry != nullptr) return SQLITE_OK;
    sqlite3_vfs* below = sqlite3_vfs_find(nullptr);
    if (below == nullptr) return SQLITE_ERROR;
    g_below = below;
    g_registry = &registry;
    fill_shim(below);
    ::pthread_atfork(nullptr, nullptr, [] { g_is_forked_child.store(g_is_used.load()); });
    return sqlite3_vfs_register(&g_shim, 0);
}

bool set_default_vfs(bool on) {
    const bool was_default = sqlite3_vfs_find(nullptr) == &g_shim;
    if (on && !was_default) sqlite3_vfs_register(&g_shim, 1);
    if (!on && was_default) sqlite3_vfs_register(g_below, 1);
    return was_default;
}

std::shared_ptr<Database> database_of(sqlite3* connection, const char* schema) {
    ShimFile* self = shim_file_of(connection, schema);
    return self == nullptr ? nullptr : *self->database;
}

InternalOpen::InternalOpen() { ++t_internal_opens; }
InternalOpen::~InternalOpen() { --t_internal_opens; }

PinnedFile pinned_file(sqlite3* connection) {
    ShimFile* self = shim_file_of(connection, "main");
    if (self == nullptr) return {};
    return {self->below(), self->read_lock};
}

// In front of the file lies the name that it was opened with, which the VFS below goes on using.
void CloseBelow::operator()(sqlite3_file* file) const {
    auto* memory = reinterpret_cast<const char**>(file) - kNameWords;
    if (file->pMethods != nullptr) file->pMethods->xClose(file);
    sqlite3_free_filename(memory[0]);
    sqlite3_free(memory);
}

BelowFile open_below(const std::string& path) {
    const std::size_t size = kNameWords * sizeof(char*) + static_cast<std::size_t>(g_below->szOsFile);
    auto* memory = static_cast<const char**>(sqlite3_malloc64(size));
    if (memory == nullptr) return nullptr;
    std::memset(memory, 0, size);
    memory[0] = sqlite3_create_filename(path.c_str(), "", "", 0, nullptr);
    BelowFile file(reinterpret_cast<sqlite3_file*>(memory + kNameWords));
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB;
    if (memory[0] == nullptr || g_below->xOpen(g_below, memory[0], file.get(), flags, &flags) != SQLITE_OK) {
        return nullptr;
    }
    return file;
}

const char* below_vfs_name() { return g_below->zName; }

void note_use() { g_is_used.store(true); }

bool is_forked_child() { return g_is_forked_child.load(std::memory_order_relaxed); }

}  // namespace litestream
