// Validation of a replica (shared/replica/validator.h) with what only the host can add: SQLite's quick_check,
// and, where the live database is open in this process, a comparison page by page at one position. Reentrant;
// blocks; works on the caller's thread, with no mutex of ours held.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ext/replica_member.h"
#include "shared/replica/validator.h"
#include "shared/store/database_image.h"

namespace litestream {

// The live database that is replicated there.
struct LiveDatabase {
    ImageSource& images;
    ReplicaMember& member;
};

struct ValidationRequest {
    std::string directory;              // for the temporary file
    std::optional<Position> position;   // none: the live database's, or the latest
    std::int64_t catch_up_ms = 30'000;  // how long the replica may take to come up to the live database
    unsigned parallelism = 0;  // as in RestoreOptions
    std::function<bool()> stop;
};

struct Validation {
    ValidationReport report;
    bool is_compared = false;
    std::string not_compared;  // why not; empty if it was, or if the replica does not restore
};

// An error: nothing was found out (an interrupt, a directory that cannot be written). `live` may be null.
Result<Validation> validate_replica(ReplicaClient& client, LiveDatabase* live,
                                    const ValidationRequest& request);

// Beside the database if files can be made there; else (or for "") TMPDIR, else /tmp.
std::string validation_directory(const std::string& database_path);

}  // namespace litestream
