#include "tests/support/replica_builder.h"

#include <algorithm>
#include <cstdlib>

#include "shared/base/crc32.h"
#include "shared/format/path.h"
#include "shared/format/segment.h"

namespace litestream {
namespace {

constexpr std::int64_t kFirstTimeMs = 1'700'000'000'000;
constexpr std::uint32_t kFirstSalt = 0x5AFE0000;

}  // namespace

ReplicaBuilder::ReplicaBuilder(ReplicaClient& client, std::string generation, std::uint32_t page_size,
                               Trailers trailers, std::string predecessor)
    : client_(client),
      generation_(std::move(generation)),
      predecessor_(std::move(predecessor)),
      trailers_(trailers) {
    header_.page_size = page_size;
    file_ = page({1, 0});
    states_.push_back({{generation_, 0, 0}, kFirstTimeMs, file_});
}

// Page 1 is a database header, the others are all of one byte.
Bytes ReplicaBuilder::page(const Write& write) const {
    Bytes bytes(header_.page_size, write.fill);
    if (write.page_no != 1) return bytes;
    constexpr std::string_view kMagic{"SQLite format 3\0", 16};
    std::copy(kMagic.begin(), kMagic.end(), bytes.begin());
    const std::uint32_t size = header_.page_size == 65536 ? 1 : header_.page_size;
    bytes[16] = static_cast<std::uint8_t>(size >> 8);
    bytes[17] = static_cast<std::uint8_t>(size);
    bytes[18] = bytes[19] = 2;
    store_be32(&bytes[24], change_counter_);
    return bytes;
}

void ReplicaBuilder::begin_wal() {
    header_.checkpoint_sequence = static_cast<std::uint32_t>(index_);
    store_be32(header_.salts.data(), kFirstSalt + static_cast<std::uint32_t>(index_));
    store_be32(header_.salts.data() + 4, crc32(0, as_bytes(generation_ + std::to_string(index_))));
    const auto bytes = header_.encode();
    header_ = *WalHeader::decode(bytes);
    checksum_ = header_.checksum;
    pending_.assign(bytes.begin(), bytes.end());
    pending_start_ = 0;
    end_offset_ = kWalHeaderSize;
    has_wal_ = true;
}

void ReplicaBuilder::add_frame(const Write& write, std::uint32_t commit_pages) {
    const Bytes content = page(write);
    FrameHeader frame{write.page_no, commit_pages, header_.salts, {}};
    std::uint8_t encoded[kFrameHeaderSize];
    frame.encode(encoded);
    frame.checksum = checksum_ = frame_checksum(checksum_, encoded, content, header_.word_order);
    frame.encode(encoded);
    pending_.insert(pending_.end(), std::begin(encoded), std::end(encoded));
    pending_.insert(pending_.end(), content.begin(), content.end());
    end_offset_ += sizeof encoded + content.size();
    const std::size_t at = std::size_t{write.page_no - 1} * header_.page_size;
    file_.resize(std::max(file_.size(), at + content.size()));
    std::copy(content.begin(), content.end(), file_.begin() + static_cast<std::ptrdiff_t>(at));
}

Bytes ReplicaBuilder::truncated(std::uint32_t pages) const {
    Bytes database = file_;
    database.resize(std::size_t{pages} * header_.page_size);
    return database;
}

void ReplicaBuilder::commit(const std::vector<Write>& writes, std::uint32_t pages) {
    if (!has_wal_) begin_wal();
    if (std::any_of(writes.begin(), writes.end(), [](const Write& write) { return write.page_no == 1; })) {
        ++change_counter_;
    }
    if (pages == 0) {
        pages = page_count_;
        for (const Write& write : writes) pages = std::max(pages, write.page_no);
    }
    for (std::size_t i = 0; i < writes.size(); ++i) add_frame(writes[i], i + 1 == writes.size() ? pages : 0);
    page_count_ = pages;
    const std::int64_t time_ms = last().time_ms + 1000;
    pending_commits_.push_back({end_offset_, time_ms});
    states_.push_back({{generation_, index_, end_offset_}, time_ms, truncated(pages)});
}

Trailer ReplicaBuilder::make_trailer(Trailer::Kind kind) const {
    Trailer trailer;
    trailer.kind = kind;
    trailer.generation = generation_;
    trailer.predecessor = predecessor_;
    trailer.index = index_;
    trailer.previous_end = previous_end_;
    trailer.previous_checksum = previous_checksum_;
    trailer.end_checksum = trailer.source_checksum = checksum_;
    trailer.salts = header_.salts;
    trailer.page_size = header_.page_size;
    trailer.page_count = page_count_;
    return trailer;
}

void ReplicaBuilder::publish(const std::string& name, ByteView content, Trailer trailer) {
    const Status status = client_.publish(name, [&](const Sink& sink) -> Status {
        PayloadWriter writer(sink);
        LITESTREAM_TRY(writer.write(content));
        return writer.finish(trailers_ == Trailers::kYes ? &trailer : nullptr);
    });
    if (!status) std::abort();
}

void ReplicaBuilder::publish_segment() {
    if (pending_.empty()) return;
    Trailer trailer = make_trailer(Trailer::Kind::kSegment);
    trailer.start_offset = pending_start_;
    trailer.end_offset = end_offset_;
    trailer.commits = pending_commits_;
    publish(segment_path(generation_, index_, pending_start_), pending_, trailer);
    pending_.clear();
    pending_commits_.clear();
    pending_start_ = end_offset_;
}

void ReplicaBuilder::publish_snapshot(Checksum checksum) {
    publish_segment();
    Trailer trailer = make_trailer(Trailer::Kind::kSnapshot);
    trailer.start_offset = trailer.end_offset = end_offset_;
    trailer.commits = {{end_offset_, last().time_ms + 500}};
    if (!has_wal_) trailer.salts = {};
    if (checksum == Checksum::kUnknown) trailer.end_checksum = {};
    publish(snapshot_path(generation_, index_), last().database, trailer);
}

void ReplicaBuilder::next_index() {
    publish_segment();
    previous_end_ = end_offset_;
    previous_checksum_ = checksum_;
    file_ = truncated(page_count_);
    ++index_;
    end_offset_ = 0;
    checksum_ = {};
    has_wal_ = false;
}

}  // namespace litestream
