#include "vfs/shim_vfs.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <string_view>

#include "vfs/shim_file.h"

namespace litestream {

namespace {

constexpr const char* kVfsName = "litestream";
constexpr std::string_view kWalSuffix = "-wal";

// Set once, before the VFS is registered.
Registry* g_registry = nullptr;
sqlite3_vfs* g_below = nullptr;
sqlite3_vfs g_shim = {};

std::atomic<bool> g_is_forked_child = false;
thread_local int t_internal_opens = 0;

// A file whose commits we can see: a named, writable main database.
bool is_watched(const char* name, int flags) {
    constexpr int kWanted = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_READWRITE;
    return name != nullptr && (flags & kWanted) == kWanted && (flags & SQLITE_OPEN_DELETEONCLOSE) == 0 &&
           sqlite3_uri_boolean(name, "immutable", 0) == 0;
}

int open_watched(const char* name, sqlite3_file* file, int flags, int* out_flags) {
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
    self->registry = g_registry;
    self->is_internal = t_internal_opens > 0;
    self->database = new std::shared_ptr<Database>(g_registry->acquire(name, self->is_internal));
    self->base.pMethods = shim_file_methods(below_methods->iVersion);
    return rc;
}

// SQLite opens the WAL under its SHARED lock on the main file, before it reads or writes it.
void note_wal_open(const char* name) {
    const std::string_view wal = name;
    if (wal.size() <= kWalSuffix.size()) return;
    const auto database = g_registry->find(std::string(wal.substr(0, wal.size() - kWalSuffix.size())));
    sqlite3_file* main_file = database ? sqlite3_database_file_object(name) : nullptr;
    ShimFile* self = nullptr;
    if (main_file == nullptr || main_file->pMethods == nullptr ||
        main_file->pMethods->xFileControl(main_file, kFcntlShimFile, &self) != SQLITE_OK) {
        return;
    }
    const int device = self->below()->pMethods->xDeviceCharacteristics(self->below());
    database->on_wal_open(read_first_bytes(self->below()), (device & SQLITE_IOCAP_POWERSAFE_OVERWRITE) != 0);
}

int x_open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    file->pMethods = nullptr;
    if (is_forked_child()) return g_below->xOpen(g_below, name, file, flags, out_flags);
    try {
        if (is_watched(name, flags)) return open_watched(name, file, flags, out_flags);
        if ((flags & SQLITE_OPEN_WAL) != 0 && name != nullptr) note_wal_open(name);
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
    ::pthread_atfork(nullptr, nullptr, [] { g_is_forked_child.store(true); });
    return sqlite3_vfs_register(&g_shim, 0);
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

bool is_forked_child() { return g_is_forked_child.load(std::memory_order_relaxed); }

}  // namespace litestream
