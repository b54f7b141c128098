#include "vfs/wal_reader.h"

#include <fcntl.h>

namespace litestream {

Status WalReader::open(const std::string& path) {
    file_.close();
    LITESTREAM_ASSIGN(file_, File::open(path, O_RDONLY));
    return {};
}

Result<std::uint64_t> WalReader::size_bytes() const {
    LITESTREAM_ASSIGN(const struct stat status, file_.status());
    return static_cast<std::uint64_t>(status.st_size);
}

Result<WalHeader> WalReader::header() const {
    std::array<std::uint8_t, kWalHeaderSize> bytes;
    LITESTREAM_TRY(file_.read_exactly_at(0, bytes));
    return WalHeader::decode(bytes);
}

Result<FrameHeader> WalReader::frame_header(std::uint32_t frame_no, std::uint32_t page_size) const {
    std::array<std::uint8_t, kFrameHeaderSize> bytes;
    LITESTREAM_TRY(file_.read_exactly_at(wal_size(frame_no - 1, page_size), bytes));
    return FrameHeader::decode(bytes.data());
}

Status WalReader::read_frames(std::uint32_t frame_no, std::uint32_t page_size, ByteSpan frames) const {
    return file_.read_exactly_at(wal_size(frame_no - 1, page_size), frames);
}

Status WalReader::read_page(std::uint32_t frame_no, std::uint32_t page_size, ByteSpan page) const {
    return file_.read_exactly_at(wal_size(frame_no - 1, page_size) + kFrameHeaderSize, page);
}

Result<CommitCount> WalReader::count_commits(std::uint32_t frame_count, std::uint32_t page_size) const {
    CommitCount count;
    FrameHeader previous;
    for (std::uint32_t frame_no = 1; frame_no <= frame_count; ++frame_no) {
        LITESTREAM_ASSIGN(const FrameHeader header, frame_header(frame_no, page_size));
        if (header.is_commit()) {
            ++count.commits;
            const bool repeats =
                previous.page_no == header.page_no && previous.commit_pages == header.commit_pages;
            if (repeats) ++count.repeats;
        }
        previous = header;
    }
    return count;
}

}  // namespace litestream
