#include "vfs/applied_log.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <utility>

#include "shared/base/crc32.h"
#include "shared/base/directory.h"
#include "shared/base/machine.h"
#include "shared/base/text.h"
#include "shared/format/stream_record.h"

namespace litestream {

namespace {

constexpr std::size_t kSlotSize = 128;
constexpr std::size_t kSlots = 512;
constexpr std::size_t kCrcOffset = 108;
constexpr int kMaxBatchesBehindEmpty = 1;

using Slot = std::array<std::uint8_t, kSlotSize>;

void store_checksum(std::uint8_t* out, const WalChecksum& checksum) {
    store_be32(out, checksum.s0);
    store_be32(out + 4, checksum.s1);
}

WalChecksum load_checksum(const std::uint8_t* in) { return {load_be32(in), load_be32(in + 4)}; }

Slot encode(std::uint64_t sequence, const AppliedRecord& record) {
    Slot slot = {};
    const SourceState& state = record.state;
    store_be64(slot.data(), sequence);
    store_be64(slot.data() + 8, generation_number(state.position.generation));
    store_be64(slot.data() + 16, state.position.index);
    store_be64(slot.data() + 24, state.position.offset);
    store_be64(slot.data() + 32, static_cast<std::uint64_t>(state.time_ms));
    store_be32(slot.data() + 40, state.page_size);
    store_be32(slot.data() + 44, state.has_header ? 1 : 0);
    if (state.has_header) std::ranges::copy(state.header.encode(), slot.begin() + 48);
    store_checksum(slot.data() + 80, state.chain);
    std::ranges::copy(record.salts, slot.begin() + 88);
    store_be32(slot.data() + 96, record.frames);
    store_checksum(slot.data() + 100, record.checksum);
    store_be32(slot.data() + kCrcOffset, crc32(0, ByteView(slot).first(kCrcOffset)));
    return slot;
}

std::optional<std::pair<std::uint64_t, AppliedRecord>> decode(ByteView slot) {
    if (load_be32(slot.data() + kCrcOffset) != crc32(0, slot.first(kCrcOffset))) return std::nullopt;
    AppliedRecord record;
    SourceState& state = record.state;
    state.position = {to_hex16(load_be64(slot.data() + 8)), load_be64(slot.data() + 16),
                      load_be64(slot.data() + 24)};
    state.time_ms = static_cast<std::int64_t>(load_be64(slot.data() + 32));
    state.page_size = load_be32(slot.data() + 40);
    state.has_header = load_be32(slot.data() + 44) != 0;
    if (state.has_header) {
        const auto header = WalHeader::decode(slot.subspan(48, kWalHeaderSize));
        if (!header) return std::nullopt;
        state.header = *header;
    }
    state.chain = load_checksum(slot.data() + 80);
    std::ranges::copy(slot.subspan(88, record.salts.size()), record.salts.begin());
    record.frames = load_be32(slot.data() + 96);
    record.checksum = load_checksum(slot.data() + 100);
    return std::pair(load_be64(slot.data()), std::move(record));
}

WalChecksum boot_mark() { return {crc32(0, as_bytes(boot_id())), 0}; }

}  // namespace

bool AppliedRecord::is_of(const WalIndexHeader& header) const {
    if (frames != header.frame_count || salts != header.salts) return false;
    return checksum == (frames == 0 ? boot_mark() : header.frame_checksum);
}

std::string AppliedLog::path_in(const std::string& meta_path) { return join_path(meta_path, "applied"); }

Status AppliedLog::open(const std::string& meta_path, unsigned mode) {
    LITESTREAM_ASSIGN(file_, File::open(path_in(meta_path), O_RDWR | O_CREAT, mode));
    Bytes bytes(kSlotSize * kSlots);
    LITESTREAM_ASSIGN(const std::size_t size, file_.read_at(0, bytes));
    std::vector<std::pair<std::uint64_t, AppliedRecord>> records;
    for (std::size_t at = 0; at + kSlotSize <= size; at += kSlotSize) {
        if (auto record = decode(ByteView(bytes).subspan(at, kSlotSize)))
            records.push_back(*std::move(record));
    }
    std::ranges::sort(records, {}, [](const auto& entry) { return entry.first; });
    found_.clear();
    for (auto& [sequence, record] : records) found_.push_back(std::move(record));
    next_ = records.empty() ? 1 : records.back().first + 1;
    return {};
}

Status AppliedLog::append(const AppliedRecord& record) {
    LITESTREAM_TRY(file_.write_at(next_ % kSlots * kSlotSize, encode(next_, record)));
    ++next_;
    if (found_.size() >= 2 * kSlots) found_.erase(found_.begin(), found_.begin() + kSlots);
    found_.push_back(record);
    return {};
}

Status AppliedLog::append_empty(const SourceState& state, const Salts& salts) {
    // All zero is what SQLite recovers from any WAL that is a header at most.
    if (boot_id().empty() || salts == Salts{}) return {};
    return append({state, salts, 0, boot_mark()});
}

std::optional<AppliedRecord> AppliedLog::find(const WalIndexHeader& header) const {
    int batches = 0;
    for (auto record = found_.rbegin(); record != found_.rend(); ++record) {
        if (record->frames == 0 && batches > kMaxBatchesBehindEmpty) continue;
        if (record->is_of(header)) return *record;
        if (record->frames > 0) ++batches;
    }
    return std::nullopt;
}

std::optional<AppliedRecord> AppliedLog::newest() const {
    return found_.empty() ? std::nullopt : std::optional(found_.back());
}

}  // namespace litestream
