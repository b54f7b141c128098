// The methods of a file that lies over the file of the VFS below and adds nothing: whoever watches some of
// them starts from this table and puts its own in their place.
//
// `Layer` is a struct that begins with SQLite's sqlite3_file and has `static Layer* from(sqlite3_file*)` and
// `sqlite3_file* below()`. Reentrant.
#pragma once

#include <algorithm>
#include <array>

#include "vfs/sqlite.h"

namespace litestream {

// One line per method that only passes through.
template <typename Layer, auto Method, typename... Args>
auto pass_below(sqlite3_file* file, Args... args) {
    sqlite3_file* below = Layer::from(file)->below();
    return (below->pMethods->*Method)(below, args...);
}

// For a file below of that iVersion (1, 2 or 3): no more than it can do.
template <typename Layer>
constexpr sqlite3_io_methods pass_methods(int version) {
    using M = sqlite3_io_methods;
    M methods = {};
    methods.iVersion = version;
    methods.xClose = pass_below<Layer, &M::xClose>;
    methods.xRead = pass_below<Layer, &M::xRead, void*, int, sqlite3_int64>;
    methods.xWrite = pass_below<Layer, &M::xWrite, const void*, int, sqlite3_int64>;
    methods.xTruncate = pass_below<Layer, &M::xTruncate, sqlite3_int64>;
    methods.xSync = pass_below<Layer, &M::xSync, int>;
    methods.xFileSize = pass_below<Layer, &M::xFileSize, sqlite3_int64*>;
    methods.xLock = pass_below<Layer, &M::xLock, int>;
    methods.xUnlock = pass_below<Layer, &M::xUnlock, int>;
    methods.xCheckReservedLock = pass_below<Layer, &M::xCheckReservedLock, int*>;
    methods.xFileControl = pass_below<Layer, &M::xFileControl, int, void*>;
    methods.xSectorSize = pass_below<Layer, &M::xSectorSize>;
    methods.xDeviceCharacteristics = pass_below<Layer, &M::xDeviceCharacteristics>;
    if (version >= 2) {
        methods.xShmMap = pass_below<Layer, &M::xShmMap, int, int, int, void volatile**>;
        methods.xShmLock = pass_below<Layer, &M::xShmLock, int, int, int>;
        methods.xShmBarrier = pass_below<Layer, &M::xShmBarrier>;
        methods.xShmUnmap = pass_below<Layer, &M::xShmUnmap, int>;
    }
    if (version >= 3) {
        methods.xFetch = pass_below<Layer, &M::xFetch, sqlite3_int64, int, void**>;
        methods.xUnfetch = pass_below<Layer, &M::xUnfetch, sqlite3_int64, void*>;
    }
    return methods;
}

// One table for each iVersion; `of_version` makes them.
constexpr std::array<sqlite3_io_methods, 3> method_tables(sqlite3_io_methods (*of_version)(int)) {
    return {of_version(1), of_version(2), of_version(3)};
}

inline const sqlite3_io_methods* table_for(const std::array<sqlite3_io_methods, 3>& tables,
                                           int below_version) {
    return &tables[static_cast<std::size_t>(std::clamp(below_version, 1, 3)) - 1];
}

}  // namespace litestream
