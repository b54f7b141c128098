#include "shared/format/frame_chain.h"

#include <algorithm>
#include <utility>

#include "shared/base/text.h"

namespace litestream {
namespace {

std::string place(std::uint64_t offset) {
    std::string digits = to_hex16(offset);
    digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
    return "offset 0x" + digits;
}

}  // namespace

FrameChain::FrameChain(OnFrame on_frame) : on_frame_(std::move(on_frame)) {}

FrameChain::FrameChain(const WalHeader& header, std::uint64_t offset, WalChecksum checksum, OnFrame on_frame)
    : on_frame_(std::move(on_frame)),
      header_(header),
      has_header_(true),
      offset_(offset),
      checksum_(checksum) {}

std::size_t FrameChain::next_size() const {
    return has_header_ ? kFrameHeaderSize + header_.page_size : kWalHeaderSize;
}

Status FrameChain::feed(ByteView bytes) {
    while (pending_.size() + bytes.size() >= next_size()) {
        const std::size_t size = next_size();
        // Whole headers and frames are checked where they lie; only a cut one is put together first.
        if (pending_.empty()) {
            LITESTREAM_TRY(take(bytes.first(size)));
            bytes = bytes.subspan(size);
            continue;
        }
        const std::size_t missing = size - pending_.size();
        pending_.insert(pending_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(missing));
        bytes = bytes.subspan(missing);
        LITESTREAM_TRY(take(pending_));
        pending_.clear();
    }
    pending_.insert(pending_.end(), bytes.begin(), bytes.end());
    return {};
}

Status FrameChain::take(ByteView bytes) { return has_header_ ? take_frame(bytes) : take_header(bytes); }

Status FrameChain::take_header(ByteView bytes) {
    auto header = WalHeader::decode(bytes);
    if (!header) return std::move(header).error().context(place(offset_));
    header_ = *header;
    has_header_ = true;
    checksum_ = header_.checksum;
    offset_ = kWalHeaderSize;
    return {};
}

Status FrameChain::take_frame(ByteView bytes) {
    Frame frame = {FrameHeader::decode(bytes.data()), bytes.subspan(kFrameHeaderSize),
                   offset_ + bytes.size()};
    if (frame.header.page_no == 0) return corrupt(place(offset_) + ": page number 0");
    if (frame.header.salts != header_.salts) return corrupt(place(offset_) + ": salt does not match");
    const WalChecksum checksum = frame_checksum(checksum_, bytes.data(), frame.page, header_.word_order);
    if (frame.header.checksum != checksum) return corrupt(place(offset_) + ": checksum does not match");
    checksum_ = checksum;
    offset_ = frame.end_offset;
    at_commit_ = frame.header.is_commit();
    return on_frame_ ? on_frame_(frame) : Status();
}

Status FrameChain::finish() const {
    if (!pending_.empty()) {
        return corrupt(place(offset_ + pending_.size()) + ": ends inside a " +
                       (has_header_ ? "frame" : "header"));
    }
    if (!at_commit_) return corrupt(place(offset_) + ": ends behind a frame that is no commit");
    return {};
}

}  // namespace litestream
