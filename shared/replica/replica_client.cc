#include "shared/replica/replica_client.h"

#include <algorithm>
#include <tuple>

#include "shared/replica/file_replica_client.h"
#include "shared/replica/s3_open.h"

namespace litestream {

void sort_files(std::vector<SnapshotInfo>& infos) {
    std::sort(infos.begin(), infos.end(), [](const auto& a, const auto& b) {
        return std::tie(a.index, a.name) < std::tie(b.index, b.name);
    });
}

void sort_files(std::vector<SegmentInfo>& infos) {
    std::sort(infos.begin(), infos.end(), [](const auto& a, const auto& b) {
        return std::tie(a.index, a.offset, a.name) < std::tie(b.index, b.offset, b.name);
    });
}

void add_counts(RequestCounts& to, const RequestCounts& counts) {
    for (const auto& [kind, count] : counts) to[kind] += count;
}

void drop_before(const Position& first, std::vector<SegmentInfo>& infos) {
    std::erase_if(infos, [&](const SegmentInfo& info) {
        return std::tie(info.index, info.offset) < std::tie(first.index, first.offset);
    });
}

Status FirstError::status() const {
    if (count_ < 2) return first_;
    Error error = first_.error();
    error.message += ", and " + std::to_string(count_ - 1) + " more";
    return error;
}

Result<std::vector<SegmentInfo>> ReplicaClient::segments_from(const Position& first) {
    LITESTREAM_ASSIGN(auto infos, segments(first.generation));
    drop_before(first, infos);
    return infos;
}

Status ReplicaClient::remove_all(const std::vector<std::string>& names) {
    FirstError errors;
    for (const std::string& name : names) {
        const Status removed = remove(name);
        if (!removed && removed.error().code == ErrorCode::kInterrupt) return removed;
        errors.see(removed);
    }
    return errors.status();
}

Result<FilePart> ReplicaClient::read_part(const std::string& name, std::uint64_t offset, std::size_t size,
                                          const std::string&) {
    constexpr std::size_t kPieceSize = 64u << 10;
    LITESTREAM_ASSIGN(const auto source, open(name));
    FilePart part;
    Bytes piece(kPieceSize);
    while (true) {
        LITESTREAM_ASSIGN(const std::size_t n, source->read(piece));
        if (n == 0) return part;
        const std::uint64_t from = std::max(part.file_size, offset);
        part.file_size += n;
        const std::uint64_t to = std::min(part.file_size, offset + size);
        if (from >= to) continue;
        const std::uint8_t* const first = piece.data() + (from - (part.file_size - n));
        part.bytes.insert(part.bytes.end(), first, first + (to - from));
    }
}

Result<std::unique_ptr<ReplicaClient>> open_replica_client(const Url& url, unsigned mode) {
    if (url.scheme == "file") return FileReplicaClient::create(url, mode);
    if (url.scheme == "s3") return open_s3_client(url);
    return bad_input(url.to_string() + ": unknown scheme \"" + url.scheme +
                     "\": accepted are file:///ABSOLUTE/PATH and s3://BUCKET/PATH");
}

}  // namespace litestream
