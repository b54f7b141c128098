#include "tests/replica/primary.h"

#include <algorithm>

#include "shared/base/crc32.h"
#include "shared/format/path.h"

namespace litestream {
namespace {

constexpr std::uint32_t kPageSize = 512;
constexpr std::uint32_t kPages = 4;

class Image final : public DatabaseImage {
  public:
    Image(Trailer trailer, Bytes database) : trailer_(std::move(trailer)), database_(std::move(database)) {}
    const Trailer& trailer() const override { return trailer_; }
    Status read_page(std::uint32_t page_no, ByteSpan page) override {
        const auto from = database_.begin() + std::ptrdiff_t{page_no - 1} * kPageSize;
        std::copy_n(from, kPageSize, page.begin());
        return {};
    }

  private:
    const Trailer trailer_;
    const Bytes database_;
};

Bytes empty_database() {
    constexpr std::string_view kMagic{"SQLite format 3\0", 16};
    Bytes bytes(std::size_t{kPages} * kPageSize);
    std::copy(kMagic.begin(), kMagic.end(), bytes.begin());
    bytes[16] = kPageSize >> 8;
    bytes[18] = bytes[19] = 2;
    return bytes;
}

}  // namespace

Primary::Primary(const std::string& directory, const std::string& generation)
    : path_(directory + "/app.db"), store_(path_), database_(empty_database()) {
    header_.page_size = kPageSize;
    REQUIRE(store_.open(0600));
    begin_generation(generation);
}

void Primary::begin_generation(const std::string& generation) {
    const std::lock_guard lock(mutex_);
    REQUIRE(store_.begin_generation(generation, "a test"));
    generation_ = generation;
    wal_ends_ = true;
    index_ = end_offset_ = previous_end_ = 0;
    checksum_ = previous_checksum_ = {};
}

void Primary::begin_wal() {
    if (end_offset_ > 0) {
        previous_end_ = end_offset_;
        previous_checksum_ = checksum_;
        ++index_;
    }
    header_.checkpoint_sequence = static_cast<std::uint32_t>(index_);
    store_be32(header_.salts.data(), static_cast<std::uint32_t>(index_) + 1);
    store_be32(header_.salts.data() + 4, crc32(0, as_bytes(generation_)));
    const auto bytes = header_.encode();
    REQUIRE(store_.begin_index(index_, bytes));
    header_ = *WalHeader::decode(bytes);
    checksum_ = header_.checksum;
    end_offset_ = kWalHeaderSize;
    wal_ends_ = false;
}

void Primary::add_frame(std::uint32_t page_no, std::uint32_t commit_pages, Bytes& frames) {
    const auto from = database_.begin() + std::ptrdiff_t{page_no - 1} * kPageSize;
    const Bytes page(from, from + kPageSize);
    FrameHeader frame{page_no, commit_pages, header_.salts, {}};
    std::uint8_t encoded[kFrameHeaderSize];
    frame.encode(encoded);
    frame.checksum = checksum_ = frame_checksum(checksum_, encoded, page, header_.word_order);
    frame.encode(encoded);
    frames.insert(frames.end(), std::begin(encoded), std::end(encoded));
    frames.insert(frames.end(), page.begin(), page.end());
    end_offset_ += kFrameHeaderSize + kPageSize;
}

Position Primary::commit() {
    const std::lock_guard lock(mutex_);
    if (wal_ends_) begin_wal();
    const std::uint64_t start = end_offset_;
    ++commits_;
    store_be32(&database_[24], commits_);
    const std::uint32_t page_no = 2 + commits_ % (kPages - 1);
    std::fill_n(database_.begin() + std::ptrdiff_t{page_no - 1} * kPageSize, kPageSize,
                static_cast<std::uint8_t>(commits_));
    Bytes frames;
    add_frame(1, 0, frames);
    add_frame(page_no, kPages, frames);
    Trailer segment = trailer(Trailer::Kind::kSegment);
    segment.start_offset = start;
    states_[segment.end().to_string()] = database_;
    auto draft = store_.draft_segment(index_, start);
    REQUIRE(draft);
    REQUIRE(draft->write(frames));
    REQUIRE(draft->publish(segment));
    store_.trim();
    return segment.end();
}

Trailer Primary::trailer(Trailer::Kind kind) const {
    Trailer trailer;
    trailer.kind = kind;
    trailer.generation = generation_;
    trailer.index = index_;
    trailer.start_offset = trailer.end_offset = end_offset_;
    trailer.previous_end = previous_end_;
    trailer.previous_checksum = previous_checksum_;
    trailer.end_checksum = trailer.source_checksum = checksum_;
    if (end_offset_ > 0) trailer.salts = header_.salts;
    trailer.page_size = kPageSize;
    trailer.page_count = kPages;
    trailer.commits = {{end_offset_, 1'700'000'000'000 + commits_ * 1000}};
    return trailer;
}

Result<std::unique_ptr<DatabaseImage>> Primary::pin() {
    const std::lock_guard lock(mutex_);
    return std::unique_ptr<DatabaseImage>(
        std::make_unique<Image>(trailer(Trailer::Kind::kSnapshot), database_));
}

std::string Primary::file_of(const Position& end) const {
    for (const SegmentRef& segment : store_.segments_after({end.generation, end.index, 0}, 1u << 30)) {
        if (segment.end == end.offset) return store_.file_of(segment);
    }
    FAIL("no segment ends at " << end.to_string());
    return {};
}

Result<std::vector<std::string>> WatchedClient::generations() {
    LITESTREAM_TRY(watcher_("generations", ""));
    return client_.generations();
}
Result<std::vector<SnapshotInfo>> WatchedClient::snapshots(const std::string& generation) {
    LITESTREAM_TRY(watcher_("snapshots", generation));
    return client_.snapshots(generation);
}
Result<std::vector<SegmentInfo>> WatchedClient::segments(const std::string& generation) {
    LITESTREAM_TRY(watcher_("segments", generation));
    return client_.segments(generation);
}
Result<std::unique_ptr<Source>> WatchedClient::open(const std::string& name) {
    LITESTREAM_TRY(watcher_("open", name));
    return client_.open(name);
}
Result<std::optional<Trailer>> WatchedClient::trailer(const std::string& name) {
    LITESTREAM_TRY(watcher_("trailer", name));
    return client_.trailer(name);
}
Status WatchedClient::publish(const std::string& name, const Producer& producer) {
    LITESTREAM_TRY(watcher_("publish", name));
    return client_.publish(name, producer);
}
Status WatchedClient::replace(const std::string& name, const Producer& producer) {
    LITESTREAM_TRY(watcher_("replace", name));
    return client_.replace(name, producer);
}
Status WatchedClient::settle(const Position& end) {
    LITESTREAM_TRY(watcher_("settle", end.to_string()));
    return client_.settle(end);
}
Status WatchedClient::remove(const std::string& name) {
    LITESTREAM_TRY(watcher_("remove", name));
    return client_.remove(name);
}
Status WatchedClient::remove_remains(const std::string& generation) {
    LITESTREAM_TRY(watcher_("remove_remains", generation));
    return client_.remove_remains(generation);
}

}  // namespace litestream
