#include "shared/stream/snapshot_spool.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "shared/format/segment.h"

namespace litestream {
namespace {

Error cancelled() { return {ErrorCode::kInterrupt, "the snapshot is not wanted any more"}; }

Status copy_pages(DatabaseImage& image, PayloadWriter& payload, const std::atomic<bool>& is_cancelled) {
    const Trailer& trailer = image.trailer();
    if (!is_page_size(trailer.page_size)) return corrupt("snapshot: no page size");
    Bytes page(trailer.page_size);
    for (std::uint32_t page_no = 1; page_no <= trailer.page_count; page_no++) {
        if (is_cancelled) return cancelled();
        LITESTREAM_TRY(image.read_page(page_no, page));
        LITESTREAM_TRY(payload.write(page));
    }
    return {};
}

// The pin ends with this call.
Result<Trailer> copy_image(std::unique_ptr<DatabaseImage> image, PayloadWriter& payload,
                           const std::atomic<bool>& is_cancelled) {
    LITESTREAM_TRY(copy_pages(*image, payload, is_cancelled));
    return image->trailer();
}

Result<Bytes> read_wal_header(const SegmentStore& store, const Position& position) {
    if (position.offset == 0) return Bytes();
    const SegmentRef segment{position.generation, position.index, 0, kWalHeaderSize, 0, 0};
    LITESTREAM_ASSIGN(File file, File::open(store.header_file_of(segment), O_RDONLY));
    FileSource source(std::move(file));
    Bytes header;
    const Sink sink = [&header](ByteView bytes) -> Status {
        if (header.size() + bytes.size() > kWalHeaderSize)
            return corrupt("a WAL header of more than 32 bytes");
        return append_to(header)(bytes);
    };
    LITESTREAM_TRY(read_payload(source, sink));
    LITESTREAM_TRY(WalHeader::decode(header));
    return header;
}

}  // namespace

Result<SnapshotSpool> make_spool(SegmentStore& store, ImageSource& images,
                                 const std::atomic<bool>& is_cancelled) {
    if (is_cancelled) return cancelled();
    LITESTREAM_ASSIGN(File file, open_nameless_file(store.path()));
    PayloadWriter payload([&file](ByteView bytes) { return file.write(bytes); });
    LITESTREAM_ASSIGN(auto image, images.pin());
    LITESTREAM_ASSIGN(Trailer trailer, copy_image(std::move(image), payload, is_cancelled));
    LITESTREAM_TRY(payload.finish(&trailer));
    LITESTREAM_ASSIGN(Bytes wal_header, read_wal_header(store, trailer.end()));
    const std::uint64_t size_bytes = payload.size_bytes();
    return SnapshotSpool{std::move(file), size_bytes, std::move(trailer), std::move(wal_header)};
}

}  // namespace litestream
