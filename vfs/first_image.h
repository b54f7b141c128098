// The first content of an empty replica: pages go straight into the database file, under SQLite's EXCLUSIVE
// lock and behind a rollback journal that holds no page and says that the database was empty. After a crash
// in between, SQLite itself rolls back to an empty database (https://sqlite.org/fileformat2.html, section 3).
//
// Thread-bound: the follower's thread.
#pragma once

#include <string>

#include "shared/base/file.h"
#include "vfs/sqlite.h"

namespace litestream {

// `connection`: ours, below our VFS, on the empty database file at `path`. kBusy: somebody is in it.
Status write_first_image(sqlite3* connection, const std::string& path, const File& image,
                         std::uint32_t page_size, std::uint32_t page_count);

}  // namespace litestream
