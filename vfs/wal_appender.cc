#include "vfs/wal_appender.h"

#include <fcntl.h>

#include <algorithm>
#include <bit>

#include "shared/base/random.h"
#include "shared/base/text.h"
#include "vfs/shim_file.h"

namespace litestream {

namespace {

// Words of region 0 (walformat.html, section 2.1) and its tables (section 2.2).
constexpr std::size_t kCopyWords = 12;
constexpr std::size_t kInitWord = 3;
constexpr std::size_t kBackfillWord = 24;
constexpr std::size_t kReadMarkWord = 25;
constexpr std::size_t kBackfillAttemptedWord = 32;
constexpr std::size_t kFirstPageNoWord = 34;
constexpr std::size_t kHashWord = 4096;
constexpr std::uint32_t kUnusedMark = 0xffffffff;
constexpr int kRegionSize = 32768;
constexpr std::size_t kRegionWords = kRegionSize / 4;
constexpr std::uint32_t kFirstRegionFrames = 4062;
constexpr std::uint32_t kRegionFrames = 4096;
constexpr std::uint32_t kSlots = 8192;
constexpr std::uint32_t kHashFactor = 383;
constexpr std::uint32_t kWalIndexVersion = 3007000;
constexpr WordOrder kNativeOrder =
    std::endian::native == std::endian::little ? WordOrder::kLittle : WordOrder::kBig;

// SQLite reads these words with plain loads, in other processes too. Each is seen after what was stored
// before.
void store(volatile std::uint32_t* word, std::uint32_t value) {
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

std::uint32_t region_of(std::uint32_t frame_no) {
    return (frame_no + kRegionFrames - kFirstRegionFrames - 1) / kRegionFrames;
}
// Frames in the regions before this one.
std::uint32_t first_frame_of(std::uint32_t region) {
    return region == 0 ? 0 : kFirstRegionFrames + (region - 1) * kRegionFrames;
}
std::size_t page_no_word(std::uint32_t region) { return region == 0 ? kFirstPageNoWord : 0; }

volatile std::uint16_t* slots_of(volatile std::uint32_t* region) {
    return reinterpret_cast<volatile std::uint16_t*>(region + kHashWord);
}

Salts next_salts(const Salts& salts) {
    Salts next = salts;
    store_be32(next.data(), load_be32(salts.data()) + 1);
    const auto random = parse_hex(random_hex(4), "random bytes");
    store_be32(next.data() + 4, random ? static_cast<std::uint32_t>(*random) : 0);
    return next;
}

}  // namespace

Status WalAppender::open(sqlite3* connection, const std::string& wal_path) {
    sqlite3_file* file = nullptr;
    if (sqlite3_file_control(connection, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
        file == nullptr || file->pMethods == nullptr || file->pMethods->iVersion < 2) {
        return Error{ErrorCode::kCantOpen, wal_path + ": this VFS has no shared memory"};
    }
    file_ = file;
    regions_.clear();
    LITESTREAM_ASSIGN(wal_, File::open(wal_path, O_RDWR));
    return map(0);
}

int WalAppender::lock(int first, int count, int flags) {
    return file_->pMethods->xShmLock(file_, first, count, flags);
}

Status WalAppender::map(std::uint32_t region) {
    while (regions_.size() <= region) {
        volatile void* memory = nullptr;
        const int rc =
            file_->pMethods->xShmMap(file_, static_cast<int>(regions_.size()), kRegionSize, 1, &memory);
        if (rc != SQLITE_OK || memory == nullptr) {
            return Error{ErrorCode::kIo,
                         wal_.path() + ": the wal-index cannot be extended: " + sqlite3_errstr(rc)};
        }
        regions_.push_back(static_cast<volatile std::uint32_t*>(memory));
    }
    return {};
}

std::uint32_t WalAppender::backfilled_frames() const {
    return read_backfilled_frames(const_cast<const volatile std::uint32_t*>(regions_[0]));
}

Status WalAppender::begin() {
    const int rc = lock(kWriteLock, 1, SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE);
    if (rc == SQLITE_BUSY) return Error{ErrorCode::kBusy, wal_.path() + ": another program is writing"};
    if (rc != SQLITE_OK) return Error{ErrorCode::kIo, wal_.path() + ": lock: " + sqlite3_errstr(rc)};
    const auto header = read_wal_index_header(regions_[0]);
    if (!header) {
        end();
        return corrupt(wal_.path() + ": the wal-index has to be recovered");
    }
    header_ = *header;
    chain_ = header_.frame_checksum;
    written_ = header_.frame_count;
    page_nos_.clear();
    return {};
}

void WalAppender::end() { lock(kWriteLock, 1, SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE); }

// The salts of now may stay too: in a wal-index that outlives us, or in half a header.
Status WalAppender::prepare(std::uint32_t page_size, const NoteEmpty& note_empty) {
    if (header_.frame_count > 0 && !is_all_in_file()) return {};
    const Salts salts = next_salts(header_.salts);
    LITESTREAM_TRY(note_empty(header_.salts));
    LITESTREAM_TRY(note_empty(salts));
    if (header_.frame_count > 0 && !restart(salts)) return {};
    return start_wal(page_size, salts);
}

Result<WalHeader> WalAppender::header_in_file() const {
    std::array<std::uint8_t, kWalHeaderSize> bytes = {};
    LITESTREAM_TRY(wal_.read_exactly_at(0, bytes));
    return WalHeader::decode(bytes);
}

// CKPT is more than SQLite takes here: no checkpoint that is under way may see the log begin anew. nBackfill
// goes first: a crash behind it leaves a log that is checkpointed once more, not frames that never are.
bool WalAppender::restart(const Salts& salts) {
    volatile std::uint32_t* words = regions_[0];
    constexpr int kLock = SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE;
    constexpr int kUnlock = SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE;
    if (lock(kCheckpointLock, 1, kLock) != SQLITE_OK) return false;
    const bool has_readers = lock(kReadLock1, kReadMarks - 1, kLock) != SQLITE_OK;
    if (!has_readers) {
        store(words + kBackfillWord, 0);
        store(words + kBackfillAttemptedWord, 0);
        file_->pMethods->xShmBarrier(file_);
        header_.frame_count = 0;
        header_.salts = salts;
        store_header(header_);
        store(words + kReadMarkWord + 1, 0);
        for (int mark = 2; mark < kReadMarks; ++mark) store(words + kReadMarkWord + mark, kUnusedMark);
        lock(kReadLock1, kReadMarks - 1, kUnlock);
    }
    lock(kCheckpointLock, 1, kUnlock);
    return !has_readers;
}

// The header is synced before a frame follows: else frames of the old log could stand behind it after power
// loss.
Status WalAppender::start_wal(std::uint32_t page_size, const Salts& salts) {
    std::array<std::uint8_t, kWalHeaderSize> bytes = {};
    LITESTREAM_ASSIGN(const std::size_t size, wal_.read_at(0, bytes));
    WalHeader header;
    header.word_order = kNativeOrder;
    header.page_size = page_size;
    header.salts = salts;
    if (size == bytes.size()) header.checkpoint_sequence = load_be32(bytes.data() + 12) + 1;
    const auto encoded = header.encode();
    LITESTREAM_TRY(wal_.write_at(0, encoded));
    LITESTREAM_TRY(wal_.sync());
    written_ = 0;
    header_.salts = salts;
    header_.word_order = kNativeOrder;
    header_.page_size = page_size;
    LITESTREAM_ASSIGN(const WalHeader written, WalHeader::decode(encoded));
    chain_ = written.checksum;
    return {};
}

WalIndexHeader WalAppender::seal(ByteSpan frames, std::uint32_t page_size, std::uint32_t page_count) {
    const std::size_t frame_size = kFrameHeaderSize + page_size;
    for (std::size_t at = 0; at + frame_size <= frames.size(); at += frame_size) {
        std::uint8_t* frame = frames.data() + at;
        FrameHeader header = FrameHeader::decode(frame);
        chain_ = frame_checksum(chain_, frame, frames.subspan(at + kFrameHeaderSize, page_size),
                                header_.word_order);
        header.salts = header_.salts;
        header.checksum = chain_;
        header.encode(frame);
        page_nos_.push_back(header.page_no);
    }
    WalIndexHeader next = header_;
    ++next.change;
    next.frame_count = header_.frame_count + static_cast<std::uint32_t>(page_nos_.size());
    next.page_count = page_count;
    next.frame_checksum = chain_;
    return next;
}

Status WalAppender::write(ByteView sealed_frames, std::uint32_t page_size) {
    LITESTREAM_TRY(wal_.write_at(wal_size(written_, page_size), sealed_frames));
    written_ += static_cast<std::uint32_t>(sealed_frames.size() / (kFrameHeaderSize + page_size));
    return {};
}

Status WalAppender::publish(const WalIndexHeader& header) {
    LITESTREAM_TRY(map(region_of(header.frame_count)));
    clean_behind(header_.frame_count);
    std::uint32_t frame_no = header_.frame_count;
    for (const std::uint32_t page_no : page_nos_) {
        if (index_frame(++frame_no, page_no)) continue;
        invalidate();
        return corrupt(wal_.path() + ": the wal-index is damaged and is built anew");
    }
    store_header(header);
    header_ = header;
    page_nos_.clear();
    return {};
}

// What a writer that died left behind the last frame of the header (wal.c, walCleanupHash).
void WalAppender::clean_behind(std::uint32_t frame_no) {
    if (frame_no == 0) return;  // index_frame() clears the region
    const std::uint32_t region = region_of(frame_no);
    const std::uint32_t count = region == 0 ? kFirstRegionFrames : kRegionFrames;
    const std::uint32_t last = frame_no - first_frame_of(region);
    volatile std::uint32_t* page_nos = regions_[region] + page_no_word(region);
    if (last == count || page_nos[last] == 0) return;
    volatile std::uint16_t* slots = slots_of(regions_[region]);
    for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
        if (slots[slot] > last) __atomic_store_n(slots + slot, std::uint16_t{0}, __ATOMIC_RELEASE);
    }
    for (std::uint32_t i = last; i < count; ++i) store(page_nos + i, 0);
}

// False: no free slot. Readers pass over entries behind the frames of their header.
bool WalAppender::index_frame(std::uint32_t frame_no, std::uint32_t page_no) {
    const std::uint32_t region = region_of(frame_no);
    const std::uint32_t entry = frame_no - first_frame_of(region);
    volatile std::uint32_t* words = regions_[region];
    volatile std::uint16_t* slots = slots_of(words);
    if (entry == 1) {
        for (std::size_t word = page_no_word(region); word < kRegionWords; ++word) store(words + word, 0);
    }
    std::uint32_t slot = page_no * kHashFactor % kSlots;
    for (std::uint32_t tries = 0; slots[slot] != 0; ++tries) {
        if (tries == entry) return false;
        slot = (slot + 1) % kSlots;
    }
    store(words + page_no_word(region) + entry - 1, page_no);
    __atomic_store_n(slots + slot, static_cast<std::uint16_t>(entry), __ATOMIC_RELEASE);
    return true;
}

// Memory stores only: a pause between the two copies would make readers fail.
void WalAppender::store_header(const WalIndexHeader& header) {
    std::array<std::uint8_t, kCopyWords* 4> bytes = {};
    const auto put = [&](std::size_t at, std::uint32_t value) { std::memcpy(bytes.data() + at, &value, 4); };
    put(0, kWalIndexVersion);
    put(8, header.change);
    bytes[12] = 1;
    bytes[13] = header.word_order == WordOrder::kBig ? 1 : 0;
    const auto size = static_cast<std::uint16_t>(header.page_size == 65536 ? 1 : header.page_size);
    std::memcpy(bytes.data() + 14, &size, 2);
    put(16, header.frame_count);
    put(20, header.page_count);
    put(24, header.frame_checksum.s0);
    put(28, header.frame_checksum.s1);
    std::memcpy(bytes.data() + 32, header.salts.data(), header.salts.size());
    const WalChecksum sum = wal_checksum({}, ByteView(bytes).first(40), kNativeOrder);
    put(40, sum.s0);
    put(44, sum.s1);
    for (const std::size_t copy : {kCopyWords, std::size_t{0}}) {
        for (std::size_t word = 0; word < kCopyWords; ++word) {
            std::uint32_t value = 0;
            std::memcpy(&value, bytes.data() + word * 4, 4);
            store(regions_[0] + copy + word, value);
        }
        file_->pMethods->xShmBarrier(file_);
    }
}

void WalAppender::invalidate() {
    for (const std::size_t copy : {kCopyWords, std::size_t{0}}) {
        store(regions_[0] + copy + kInitWord, 0);
        file_->pMethods->xShmBarrier(file_);
    }
}

}  // namespace litestream
