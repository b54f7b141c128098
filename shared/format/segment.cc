#include "shared/format/segment.h"

#include <utility>

#include "shared/base/crc32.h"

namespace litestream {
namespace {

constexpr std::size_t kPieceSize = 64u << 10;

std::uint64_t content_size(const Trailer& trailer) {
    if (trailer.kind == Trailer::Kind::kSegment) return trailer.end_offset - trailer.start_offset;
    return std::uint64_t{trailer.page_size} * trailer.page_count;
}

}  // namespace

PayloadWriter::PayloadWriter(Sink sink)
    : sink_(std::move(sink)), lz4_([this](ByteView bytes) {
          size_bytes_ += bytes.size();
          return sink_(bytes);
      }) {}

Status PayloadWriter::write(ByteView bytes) {
    crc_ = crc32(crc_, bytes);
    return lz4_.write(bytes);
}

Status PayloadWriter::finish(Trailer* trailer) {
    LITESTREAM_TRY(lz4_.finish());
    if (trailer == nullptr) return {};
    trailer->content_crc = crc_;
    const Bytes bytes = trailer->encode();
    if (bytes.size() > kMaxTrailerSize) return bad_input("trailer: too many commits for one file");
    size_bytes_ += bytes.size();
    return sink_(bytes);
}

Result<std::optional<Trailer>> read_payload(Source& source, const Sink& content) {
    Lz4Reader lz4(source);
    Bytes buffer(kPieceSize);
    std::uint64_t size = 0;
    std::uint32_t crc = 0;
    while (true) {
        LITESTREAM_ASSIGN(const std::size_t n, lz4.read(buffer));
        if (n == 0) break;
        const ByteView piece = ByteView(buffer).first(n);
        size += n;
        crc = crc32(crc, piece);
        LITESTREAM_TRY(content(piece));
    }
    LITESTREAM_ASSIGN(const Bytes rest, lz4.read_rest(kMaxTrailerSize));
    if (rest.empty()) return std::optional<Trailer>();
    LITESTREAM_ASSIGN(Trailer trailer, Trailer::decode(rest));
    if (trailer.content_crc != crc) return corrupt("trailer: does not belong to the content");
    if (content_size(trailer) != size) return corrupt("trailer: content of another length");
    return std::optional<Trailer>(std::move(trailer));
}

}  // namespace litestream
