// Generation: what a replica holds of one generation, its listing and the trailers that were looked up.
//
// A generation is ours if any of its files carries a trailer; then each of them must. Litestream's own
// (e6f7c60 and 0.3) have none: their names and file times are all that is known before they are read.
// Values; the loading functions are thread-bound like their client.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shared/replica/fetch_crew.h"
#include "shared/replica/replica_client.h"

namespace litestream {

struct SnapshotFile {
    SnapshotInfo info;
    std::optional<Trailer> trailer;

    // Where it was taken; without a trailer only the index is known.
    Position position() const {
        return {info.generation, info.index, trailer ? trailer->end_offset : std::uint64_t{0}};
    }
    std::int64_t time_ms() const { return trailer ? trailer->commits.back().time_ms : info.created_ms; }
};

struct SegmentFile {
    SegmentInfo info;
    std::optional<Trailer> trailer;

    Position start() const { return {info.generation, info.index, info.offset}; }
    // Of its first and its last commit, or of the file.
    std::int64_t first_ms() const { return trailer ? trailer->commits.front().time_ms : info.created_ms; }
    std::int64_t last_ms() const { return trailer ? trailer->commits.back().time_ms : info.created_ms; }
};

struct Generation {
    std::string name;
    std::vector<SnapshotFile> snapshots;  // by index
    std::vector<SegmentFile> segments;    // by index, offset

    bool empty() const { return snapshots.empty() && segments.empty(); }
    bool is_ours() const;
    std::string predecessor() const;  // empty: none is named
    std::int64_t first_ms() const;    // when its data begins and ends; not of an empty one
    std::int64_t last_ms() const;
    // The last position that its names and trailers tell of.
    Position newest() const;
};

// The error of a file that was listed: if it is gone, that is no longer 'there is nothing' (kNotFound).
Error unreadable(Error error);

// Every generation that holds a file, by name, with the trailers of all snapshots and of the first and last
// segment. `only` not empty: nothing but that generation, if it is there.
Result<std::vector<Generation>> load_generations(FetchCrew& crew, const std::string& only = {});
Result<std::vector<Generation>> load_generations(ReplicaClient& client);
// The trailers of the segments of the indexes `first` to `last`.
Status load_trailers(FetchCrew& crew, std::uint64_t first, std::uint64_t last, Generation& generation);

}  // namespace litestream
