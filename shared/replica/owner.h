// The owner record: which database a replica's directory or prefix belongs to, so that a second one cannot
// write into it by mistake. One file beside generations/, which Litestream passes over:
//
//   litestream-owner.json   {"id": ..., "database": PATH, "machine": ..., "created": TIME}
//
// The id decides; the rest is for the person who reads the refusal. It is created with publish(), which never
// replaces: of two databases that start at once, one finds the record of the other.
//
// Reentrant; a client is used by one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "shared/replica/replica_client.h"

namespace litestream {

constexpr const char* kOwnerName = "litestream-owner.json";

struct Owner {
    std::string id;        // empty: nobody; nothing is checked
    std::string database;  // its absolute path
    std::string machine;
};

struct OwnerRecord {
    Owner owner;
    std::int64_t created_ms = 0;
};

// nullopt: none there. kCorrupt: it is damaged.
Result<std::optional<OwnerRecord>> read_owner(ReplicaClient& client);

// Makes sure that the replica is `owner`'s, which writes the record if there is none. A replica with data but
// no record is taken over only if its newest generation is `generation`, the database's own. `adopt`: take
// over whatever is there. "": it is ours; else a refusal that says whose it is and what to do. An error means
// that nothing is known (kCorrupt: the record is damaged, or was not what came).
Result<std::string> claim(ReplicaClient& client, const Owner& owner, const std::string& generation,
                          bool adopt, std::int64_t now_ms);

}  // namespace litestream
