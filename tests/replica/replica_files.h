// What the tests of replicas share: a replica in a directory of its own, its files, and restoring it.
// Thread-bound.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "shared/base/bytes.h"
#include "shared/replica/restorer.h"
#include "tests/support/temp_directory.h"

namespace litestream {

struct Restored {
    Result<RestoreResult> result = Error{};
    Bytes database;                      // empty after an error
    std::vector<std::string> leftovers;  // beside the database

    bool is_refused() const { return !result && leftovers.empty(); }
    const std::string& message() const { return result.error().message; }
    const std::string& note() const { return result->note; }
    const Position& position() const { return result->position; }
};

class ReplicaFiles {
  public:
    ReplicaFiles();

    std::string url() const { return "file://" + root(); }
    std::string root() const { return directory_.path("replica"); }
    std::string output() const { return directory_.path("output/restored.db"); }
    ReplicaClient& client() { return *client_; }

    void copy_golden(const std::string& name);  // tests/data/golden/NAME/replica
    // Below root(), sorted.
    std::vector<std::string> names() const;
    Bytes read(const std::string& name) const;
    void write(const std::string& name, ByteView bytes) const;
    void remove(const std::string& name) const;
    void set_time(const std::string& name, std::int64_t time_ms) const;

    // Into an empty directory, which is looked through and emptied afterwards.
    Restored restore(const RestoreOptions& options = {});
    Restored restore_position(const Position& position);
    Restored restore_index(std::uint64_t index);
    Restored restore_time(std::int64_t time_ms);

  private:
    TempDirectory directory_;
    std::unique_ptr<ReplicaClient> client_;
};

Bytes read_whole(const std::string& path);

}  // namespace litestream
