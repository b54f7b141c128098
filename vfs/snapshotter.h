// Snapshotter: pins the database at an exact position with a read transaction of its own connection, and
// reads pages below SQLite: from the WAL where it holds a newer copy, else from the database file.
//
// Thread-safe; each image has its own connection (through our VFS, marked internal).
#pragma once

#include "shared/store/database_image.h"
#include "vfs/database.h"

namespace litestream {

class Snapshotter final : public ImageSource {
  public:
    explicit Snapshotter(Database& database) : database_(database) {}  // outlives this and its images
    Result<std::unique_ptr<DatabaseImage>> pin() override;

  private:
    Database& database_;
};

}  // namespace litestream
