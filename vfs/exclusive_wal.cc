#include "vfs/exclusive_wal.h"

#include <algorithm>

#include "vfs/wal_reader.h"

namespace litestream {

namespace {

constexpr std::size_t kScanBytes = 1u << 20;

WalIndexHeader without_frames(const WalHeader& header) {
    WalIndexHeader target;
    target.page_size = header.page_size;
    target.salts = header.salts;
    target.word_order = header.word_order;
    target.frame_checksum = header.checksum;
    return target;
}

}  // namespace

std::optional<WalIndexHeader> ExclusiveWal::target() const {
    if (kind_.load() == Kind::kNone) return std::nullopt;
    const std::lock_guard lock(mutex_);
    return target_;
}

void ExclusiveWal::begin_shared(const WalIndexHeader& header) {
    const std::lock_guard lock(mutex_);
    target_ = header;
    candidate_.reset();
    kind_.store(Kind::kShared);
}

void ExclusiveWal::publish_shared(const WalIndexHeader& header) {
    begin_shared(header);
    const std::lock_guard lock(mutex_);
    may_read_ = true;
}

void ExclusiveWal::begin_heap(const WalIndexHeader& recovered) {
    const std::lock_guard lock(mutex_);
    target_ = recovered;
    candidate_.reset();
    may_read_ = true;
    kind_.store(Kind::kHeap);
}

void ExclusiveWal::end() {
    forbid_readers();
    kind_.store(Kind::kNone);
}

void ExclusiveWal::reset(const WalHeader* header) {
    const std::lock_guard lock(mutex_);
    const std::uint32_t change = target_.change;
    if (target_.frame_count > 0) break_readers();  // their frames go
    target_.salts = {};
    if (header != nullptr) target_ = without_frames(*header);
    target_.change = change;
    target_.frame_count = 0;
    candidate_.reset();
}

void ExclusiveWal::on_frame_header(const FrameHeader& header, std::uint64_t offset) {
    if (!header.is_commit()) return;
    const std::lock_guard lock(mutex_);
    const std::uint64_t frame_size = kFrameHeaderSize + target_.page_size;
    if (offset < kWalHeaderSize || (offset - kWalHeaderSize) % frame_size != 0) return;
    candidate_ = target_;
    candidate_->frame_count = static_cast<std::uint32_t>((offset - kWalHeaderSize) / frame_size) + 1;
    candidate_->page_count = header.commit_pages;
    candidate_->frame_checksum = header.checksum;
    ++candidate_->change;
}

void ExclusiveWal::drop_candidate() {
    const std::lock_guard lock(mutex_);
    candidate_.reset();
}

// A transaction that changed nothing has no candidate.
void ExclusiveWal::publish_candidate() {
    const std::lock_guard lock(mutex_);
    if (candidate_ && candidate_->frame_count > target_.frame_count) target_ = *candidate_;
    candidate_.reset();
    may_read_ = true;
}

std::optional<ExclusiveWal::Reader> ExclusiveWal::begin_read() {
    const std::lock_guard lock(mutex_);
    if (kind_.load() == Kind::kNone || !may_read_) return std::nullopt;
    ++readers_;
    return Reader{target_, turn_.load()};
}

void ExclusiveWal::end_read(const Reader& reader) {
    const std::lock_guard lock(mutex_);
    if (is_unbroken(reader)) --readers_;
}

void ExclusiveWal::break_readers() {
    ++turn_;
    readers_.store(0);
}

void ExclusiveWal::forbid_readers() {
    const std::lock_guard lock(mutex_);
    may_read_ = false;
    break_readers();
}

Result<WalIndexHeader> scan_wal(const std::string& path) {
    WalReader wal;
    LITESTREAM_TRY(wal.open(path));
    const auto header = wal.header();
    if (!header)
        return header.error().code == ErrorCode::kCorrupt ? Result(WalIndexHeader()) : header.error();
    WalIndexHeader found = without_frames(*header);
    const std::size_t frame_size = kFrameHeaderSize + header->page_size;
    LITESTREAM_ASSIGN(const std::uint64_t size, wal.size_bytes());
    const std::uint64_t frame_count = (size - std::min<std::uint64_t>(size, kWalHeaderSize)) / frame_size;
    WalChecksum chain = header->checksum;
    Bytes buffer;
    for (std::uint64_t done = 0; done < frame_count;) {
        const std::uint64_t count =
            std::min<std::uint64_t>(frame_count - done, std::max<std::size_t>(kScanBytes / frame_size, 1));
        buffer.resize(count * frame_size);
        LITESTREAM_TRY(wal.read_frames(static_cast<std::uint32_t>(done + 1), header->page_size, buffer));
        for (std::uint64_t i = 0; i < count; ++i, ++done) {
            const std::uint8_t* bytes = buffer.data() + i * frame_size;
            const FrameHeader frame = FrameHeader::decode(bytes);
            chain = frame_checksum(chain, bytes, ByteView(bytes + kFrameHeaderSize, header->page_size),
                                   header->word_order);
            if (frame.page_no == 0 || frame.salts != header->salts || frame.checksum != chain) return found;
            if (!frame.is_commit()) continue;
            found.frame_count = static_cast<std::uint32_t>(done + 1);
            found.page_count = frame.commit_pages;
            found.frame_checksum = chain;
        }
    }
    return found;
}

}  // namespace litestream
