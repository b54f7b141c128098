// What is remembered about the replicas of a database, in its meta directory, so that the next process that
// opens the database goes on. The file replicas.json, mode 0600, always rewritten as a whole:
//
//   {"version": 1,
//    "database": {"path": ..., "device": ..., "inode": ..., "machine": ...},
//    "id": 32 hex digits,                       the database's own, for as long as it stays what it is
//    "replicas": [{"name": ..., "url": ..., "options": {"sync_interval": "1s", "snapshot_interval": "24h",
//                  "retention": "24h", "validation_interval": "0s"}}],
//    "upstream": {"url": ..., "options": {"interval": "1s", "token_file": ...},
//                 "following": false}}            of a live replica only; absent: true
//
// It is followed only if directory and file belong to the effective user and nobody else can write them, and
// if the database is the very file on the very machine that it names: a copy must not push to where the
// original does. Reentrant.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/result.h"

namespace litestream {

constexpr std::int64_t kDayMs = std::int64_t{24} * 3600 * 1000;

struct ReplicaSpec {
    std::string name;
    std::string url;  // without query
    std::int64_t sync_interval_ms = 1000;
    std::int64_t snapshot_interval_ms = kDayMs;
    std::int64_t retention_ms = kDayMs;
    std::int64_t validation_interval_ms = 0;  // 0: never

    bool operator==(const ReplicaSpec&) const = default;
};

// What a live replica follows.
struct UpstreamSpec {
    std::string url;                  // of the query only what the store of a bucket needs
    std::int64_t interval_ms = 1000;  // between looks into a directory or a bucket
    std::string token_file;           // its path; empty: none
    bool is_followed = true;          // false: stopped by hand; the database is still a replica of it

    bool operator==(const UpstreamSpec&) const = default;
};

// The options that are durations, as they are called in JSON and in a URL's query.
struct ReplicaInterval {
    const char* key;
    std::int64_t ReplicaSpec::*member;
};
constexpr ReplicaInterval kReplicaIntervals[] = {
    {"sync_interval", &ReplicaSpec::sync_interval_ms},
    {"snapshot_interval", &ReplicaSpec::snapshot_interval_ms},
    {"retention", &ReplicaSpec::retention_ms},
    {"validation_interval", &ReplicaSpec::validation_interval_ms}};

// A name becomes a part of file names in the meta directory: letters, digits, '.', '_' and '-', at most 64,
// the first a letter or digit, and not like a temporary file's.
Status check_replica_name(const std::string& name);

struct DatabaseIdentity {
    std::string path;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::string machine;

    static Result<DatabaseIdentity> of(const std::string& database_path);
    bool operator==(const DatabaseIdentity&) const = default;
};

struct Remembered {
    DatabaseIdentity database;
    std::string id;
    std::vector<ReplicaSpec> replicas;
    std::optional<UpstreamSpec> upstream;
};

// nullopt: nothing is remembered. An error says why the file cannot be trusted or read.
Result<std::optional<Remembered>> read_remembered(const std::string& meta_directory);
Status write_remembered(const std::string& meta_directory, const Remembered& remembered);
// Whether there is such a file, whatever it says.
bool is_remembered(const std::string& meta_directory);
Status forget_remembered(const std::string& meta_directory);

// An error names the first difference between what is remembered and what the database is.
Status check_same_database(const DatabaseIdentity& remembered, const DatabaseIdentity& actual);

}  // namespace litestream
