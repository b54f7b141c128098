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

Result<std::optional<Trailer>> trailer_of(ReplicaClient& client, const std::string& name) {
    auto trailer = client.trailer(name);
    if (!trailer) return unreadable(std::move(trailer).error());
    return trailer;
}

Status load_trailer(ReplicaClient& client, SegmentFile& segment) {
    if (segment.trailer) return {};
    LITESTREAM_ASSIGN(segment.trailer, trailer_of(client, segment.info.name));
    return {};
}

Result<Generation> load_generation(ReplicaClient& client, const std::string& name) {
    Generation generation;
    generation.name = name;
    LITESTREAM_ASSIGN(auto snapshots, client.snapshots(name));
    for (SnapshotInfo& info : snapshots) {
        LITESTREAM_ASSIGN(auto trailer, trailer_of(client, info.name));
        generation.snapshots.push_back({std::move(info), std::move(trailer)});
    }
    LITESTREAM_ASSIGN(auto segments, client.segments(name));
    for (SegmentInfo& info : segments) generation.segments.push_back({std::move(info), std::nullopt});
    if (!generation.segments.empty()) {
        LITESTREAM_TRY(load_trailer(client, generation.segments.front()));
        LITESTREAM_TRY(load_trailer(client, generation.segments.back()));
    }
    return generation;
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
    LITESTREAM_ASSIGN(const auto names, client.generations());
    std::vector<Generation> generations;
    for (const std::string& name : names) {
        LITESTREAM_ASSIGN(Generation generation, load_generation(client, name));
        if (!generation.empty()) generations.push_back(std::move(generation));
    }
    return generations;
}

Status load_trailers(ReplicaClient& client, std::uint64_t first, std::uint64_t last, Generation& generation) {
    for (SegmentFile& segment : generation.segments) {
        if (segment.info.index < first || segment.info.index > last) continue;
        LITESTREAM_TRY(load_trailer(client, segment));
    }
    return {};
}

}  // namespace litestream
