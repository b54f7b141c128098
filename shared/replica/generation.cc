#include "shared/replica/generation.h"

#include <algorithm>

namespace litestream {
namespace {

template <typename Visit>
void for_each_trailer(const Generation& generation, const Visit& visit) {
    for (const SnapshotFile& snapshot : generation.snapshots) {
        if (snapshot.trailer) visit(*snapshot.trailer);
    }
    for (const SegmentFile& segment : generation.segments) {
        if (segment.trailer) visit(*segment.trailer);
    }
}

// A file whose trailer is wanted, and the place for it.
struct Wanted {
    const std::string* name = nullptr;
    std::uint64_t size_bytes = 0;
    std::optional<Trailer>* trailer = nullptr;
};

template <typename File>
void want(File& file, std::vector<Wanted>& out) {
    if (!file.trailer) out.push_back({&file.info.name, file.info.size_bytes, &file.trailer});
}

Status load(FetchCrew& crew, const std::vector<Wanted>& wanted) {
    return crew.for_each(wanted.size(), [&](ReplicaClient& client, std::size_t i) -> Status {
        const Wanted& one = wanted[i];
        auto trailer = crew.trailer(client, *one.name, one.size_bytes);
        if (!trailer) return unreadable(std::move(trailer).error());
        *one.trailer = *std::move(trailer);
        return {};
    });
}

template <typename File, typename Info>
std::vector<File> files_of(std::vector<Info> infos) {
    std::vector<File> files;
    for (Info& info : infos) files.push_back({std::move(info), std::nullopt});
    return files;
}

// Two listings each.
Status list(FetchCrew& crew, std::vector<Generation>& generations) {
    return crew.for_each(2 * generations.size(), [&](ReplicaClient& client, std::size_t i) -> Status {
        Generation& generation = generations[i / 2];
        if (i % 2 == 0) {
            LITESTREAM_ASSIGN(auto snapshots, client.snapshots(generation.name));
            generation.snapshots = files_of<SnapshotFile>(std::move(snapshots));
        } else {
            LITESTREAM_ASSIGN(auto segments, client.segments(generation.name));
            generation.segments = files_of<SegmentFile>(std::move(segments));
        }
        return {};
    });
}

}  // namespace

bool Generation::is_ours() const {
    bool found = false;
    for_each_trailer(*this, [&found](const Trailer&) { found = true; });
    return found;
}

std::string Generation::predecessor() const {
    std::string name;
    for_each_trailer(*this, [&name](const Trailer& trailer) {
        if (name.empty()) name = trailer.predecessor;
    });
    return name;
}

std::int64_t Generation::first_ms() const {
    std::vector<std::int64_t> times;
    if (!snapshots.empty()) times.push_back(snapshots.front().time_ms());
    if (!segments.empty()) times.push_back(segments.front().first_ms());
    return times.empty() ? 0 : *std::min_element(times.begin(), times.end());
}

std::int64_t Generation::last_ms() const {
    std::int64_t time_ms = 0;
    if (!snapshots.empty()) time_ms = snapshots.back().time_ms();
    if (!segments.empty()) time_ms = std::max(time_ms, segments.back().last_ms());
    return time_ms;
}

Position Generation::newest() const {
    Position position;
    if (!snapshots.empty()) position = snapshots.back().position();
    if (segments.empty()) return position;
    const SegmentFile& last = segments.back();
    const Position end = last.trailer ? last.trailer->end() : last.start();
    return position.empty() || position.before(end) ? end : position;
}

Error unreadable(Error error) {
    if (error.code == ErrorCode::kNotFound) error.code = ErrorCode::kIo;
    return error;
}

Result<std::vector<Generation>> load_generations(ReplicaClient& client) {
    FetchCrew alone(client);
    return load_generations(alone);
}

Result<std::vector<Generation>> load_generations(FetchCrew& crew, const std::string& only) {
    LITESTREAM_ASSIGN(const auto names, crew.client().generations());
    const bool is_there = std::find(names.begin(), names.end(), only) != names.end();
    std::vector<Generation> generations;
    for (const std::string& name : names) {
        if (!is_there || name == only) generations.push_back({name, {}, {}});
    }
    LITESTREAM_TRY(list(crew, generations));
    std::erase_if(generations, [](const Generation& generation) { return generation.empty(); });
    std::vector<Wanted> wanted;
    for (Generation& generation : generations) {
        for (SnapshotFile& snapshot : generation.snapshots) want(snapshot, wanted);
        if (generation.segments.empty()) continue;
        want(generation.segments.front(), wanted);
        if (generation.segments.size() > 1) want(generation.segments.back(), wanted);
    }
    LITESTREAM_TRY(load(crew, wanted));
    return generations;
}

Status load_trailers(FetchCrew& crew, std::uint64_t first, std::uint64_t last, Generation& generation) {
    std::vector<Wanted> wanted;
    for (SegmentFile& segment : generation.segments) {
        if (segment.info.index >= first && segment.info.index <= last) want(segment, wanted);
    }
    return load(crew, wanted);
}

}  // namespace litestream
