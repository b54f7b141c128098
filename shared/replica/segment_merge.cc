#include "shared/replica/segment_merge.h"

#include <fcntl.h>

#include <algorithm>

namespace litestream {

namespace {

// The content of one local file goes to `content`, without its first `skip` bytes.
Result<std::optional<Trailer>> read_local(const std::string& path, std::uint64_t skip, const Sink& content) {
    LITESTREAM_ASSIGN(File file, File::open(path, O_RDONLY));
    FileSource source(std::move(file));
    auto trailer = read_payload(source, [&](ByteView bytes) -> Status {
        const std::size_t cut = static_cast<std::size_t>(std::min<std::uint64_t>(skip, bytes.size()));
        skip -= cut;
        return cut == bytes.size() ? Status() : content(bytes.subspan(cut));
    });
    if (!trailer) return std::move(trailer).error().context(path);
    return trailer;
}

}  // namespace

Status merge_segments(const SegmentStore& store, const std::vector<SegmentRef>& segments, std::uint64_t start,
                      const Sink& sink, const std::atomic<bool>& stopping) {
    PayloadWriter payload(sink);
    const Sink content = [&payload](ByteView bytes) { return payload.write(bytes); };
    std::uint64_t end = start;
    if (start == 0) {
        LITESTREAM_TRY(read_local(store.header_file_of(segments.front()), 0, content));
        end = kWalHeaderSize;
    }
    Trailer merged;
    for (const SegmentRef& segment : segments) {
        if (stopping.load()) return Error{ErrorCode::kInterrupt, "replication is stopping"};
        const std::string path = store.file_of(segment);
        const bool follows = segment.start <= end && end < segment.end &&
                             (&segment == &segments.front() || segment.start == end);
        if (!follows) return corrupt(path + ": does not follow the segment before it");
        LITESTREAM_ASSIGN(auto trailer, read_local(path, end - segment.start, content));
        const bool fits = trailer && trailer->generation == segment.generation &&
                          trailer->index == segment.index && trailer->start_offset == segment.start &&
                          trailer->end_offset == segment.end;
        if (!fits) return corrupt(path + ": its trailer does not fit its name");
        auto commits = std::move(merged.commits);
        std::copy_if(trailer->commits.begin(), trailer->commits.end(), std::back_inserter(commits),
                     [&](const Commit& commit) { return commit.end_offset > end; });
        merged = *std::move(trailer);
        merged.commits = std::move(commits);
        end = segment.end;
    }
    merged.start_offset = start;
    return payload.finish(&merged);
}

}  // namespace litestream
