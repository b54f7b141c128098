// What the tests of the following end share: a primary in miniature whose WAL is real, a connection that is a
// list of bytes and silences, and a replica that keeps every state that it ever showed.
//
// Thread-bound.
#pragma once

#include <doctest/doctest.h>
#include <openssl/sha.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "shared/base/text.h"
#include "shared/format/segment.h"
#include "shared/format/stream_message.h"
#include "shared/format/stream_record.h"
#include "shared/store/replica_feed.h"
#include "shared/stream/message_follower.h"
#include "shared/stream/record_follower.h"
#include "tests/support/temp_directory.h"

namespace litestream::following {

constexpr std::uint32_t kPage = 512;

inline std::string sha256(ByteView bytes) {
    std::uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256(bytes.data(), bytes.size(), digest);
    return to_hex(digest);
}

inline Bytes operator+(Bytes left, const Bytes& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

inline Bytes lz4(ByteView content) {
    Bytes out;
    PayloadWriter writer(append_to(out));
    REQUIRE(writer.write(content));
    REQUIRE(writer.finish(nullptr));
    return out;
}

class SmallPrimary {
  public:
    explicit SmallPrimary(std::string generation, std::uint64_t index = 0)
        : generation_(std::move(generation)), index_(index), file_(page(1, 1)) {
        begin_wal();
    }
    struct Write {
        std::uint32_t page_no = 0;
        std::uint8_t fill = 0;
    };
    void commit(const std::vector<Write>& writes) {
        for (const Write& write : writes) put(file_, write);
        const auto pages = static_cast<std::uint32_t>(file_.size() / kPage);
        for (const Write& write : writes) add_frame(write, &write == &writes.back() ? pages : 0);
    }
    void next_index() {
        index_++;
        begin_wal();
    }
    const Bytes& file() const { return file_; }  // after the last commit
    Position position() const { return at(wal_.size()); }
    Position at(std::uint64_t offset) const { return {generation_, index_, offset}; }
    Bytes wal(std::uint64_t from) const {
        return {wal_.begin() + static_cast<std::ptrdiff_t>(from), wal_.end()};
    }
    Bytes header() const { return {wal_.begin(), wal_.begin() + kWalHeaderSize}; }
    SourceState state() const {
        SourceState state;
        state.position = position();
        state.has_header = true;
        state.header = header_;
        state.chain = chain_;
        state.page_size = kPage;
        return state;
    }

    // As a server sends it.
    Bytes record(StreamRecord::Type type, std::uint64_t offset, const Bytes& payload) const {
        const auto head = StreamRecord{type, at(offset), payload.size()}.encode();
        return Bytes(head.begin(), head.end()) + payload;
    }
    Bytes snapshot_record(const Bytes& file) const { return record(StreamRecord::Type::kSnapshot, 0, file); }
    // All of the index from `from` on.
    Bytes segment_record(std::uint64_t from) const {
        return record(StreamRecord::Type::kSegment, from, lz4(wal(from)));
    }
    Bytes header_record() const { return record(StreamRecord::Type::kSegment, 0, lz4(header())); }
    Bytes segment_message(std::uint64_t from) const {
        const Bytes payload = lz4(wal(from));
        Bytes out;
        MessageHeader{MessageType::kSegment, kPositionSize + payload.size()}.append_to(out);
        append_position(out, at(from));
        return out + payload;
    }
    Bytes snapshot_message() const {
        Trailer trailer;
        trailer.kind = Trailer::Kind::kSnapshot;
        trailer.generation = generation_;
        trailer.index = index_;
        trailer.start_offset = trailer.end_offset = wal_.size();
        trailer.end_checksum = trailer.source_checksum = chain_;
        trailer.salts = header_.salts;
        trailer.page_size = kPage;
        trailer.page_count = static_cast<std::uint32_t>(file_.size() / kPage);
        trailer.commits = {{trailer.end_offset, 77}};
        Bytes payload;
        PayloadWriter writer(append_to(payload));
        REQUIRE(writer.write(file_));
        REQUIRE(writer.finish(&trailer));
        Bytes out;
        MessageHeader{MessageType::kSnapshot, 4 + kWalHeaderSize + payload.size()}.append_to(out);
        return out + Bytes{0, 0, 0, kWalHeaderSize} + header() + payload;
    }

  private:
    static Bytes page(std::uint32_t page_no, std::uint8_t fill) {
        Bytes bytes(kPage, fill);
        if (page_no != 1) return bytes;
        std::fill_n(bytes.begin(), 100, 0);
        std::copy_n("SQLite format 3", 16, bytes.begin());
        bytes[16] = kPage >> 8;
        return bytes;
    }
    static void put(Bytes& file, const Write& write) {
        const std::size_t end = std::size_t{write.page_no} * kPage;
        if (file.size() < end) file.resize(end);
        const Bytes bytes = page(write.page_no, write.fill);
        std::copy(bytes.begin(), bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(end - kPage));
    }
    void begin_wal() {
        header_.page_size = kPage;
        header_.checkpoint_sequence = static_cast<std::uint32_t>(index_);
        header_.salts[3] = static_cast<std::uint8_t>(index_ + 1);
        const auto bytes = header_.encode();
        wal_.assign(bytes.begin(), bytes.end());
        header_ = *WalHeader::decode(bytes);
        chain_ = header_.checksum;
    }
    void add_frame(const Write& write, std::uint32_t commit_pages) {
        FrameHeader frame;
        frame.page_no = write.page_no;
        frame.commit_pages = commit_pages;
        frame.salts = header_.salts;
        const Bytes content = page(write.page_no, write.fill);
        std::uint8_t bytes[kFrameHeaderSize];
        frame.encode(bytes);
        frame.checksum = chain_ = frame_checksum(chain_, bytes, content, header_.word_order);
        frame.encode(bytes);
        wal_.insert(wal_.end(), bytes, bytes + kFrameHeaderSize);
        wal_ = std::move(wal_) + content;
    }

    std::string generation_;
    std::uint64_t index_;
    Bytes file_;
    Bytes wal_;
    WalHeader header_;
    WalChecksum chain_;
};

class ScriptedWire final : public StreamWire {
  public:
    enum class End : std::uint8_t { kClean, kSilent };
    explicit ScriptedWire(Bytes bytes, End end = End::kClean) : bytes_(std::move(bytes)), end_(end) {}
    ScriptedWire& piece(std::size_t size) {
        piece_ = size;
        return *this;
    }
    // So many times nothing comes before the byte at `offset`.
    ScriptedWire& silence(std::size_t offset, int times = 1) {
        silences_[offset] += times;
        return *this;
    }

    Result<std::optional<std::size_t>> read_for(ByteSpan buffer, std::int64_t timeout_ms) override {
        waits_.push_back(timeout_ms);
        if (const auto silence = silences_.find(at_); silence != silences_.end() && silence->second-- > 0) {
            return std::optional<std::size_t>();
        }
        const auto next = silences_.upper_bound(at_);
        const std::size_t end =
            next == silences_.end() ? bytes_.size() : std::min(next->first, bytes_.size());
        if (at_ == bytes_.size() && end_ == End::kSilent) return std::optional<std::size_t>();
        const std::size_t size = std::min({buffer.size(), piece_, end - at_});
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at_), size, buffer.begin());
        at_ += size;
        return std::optional(size);
    }
    Status write(ByteView bytes) override {
        written_.insert(written_.end(), bytes.begin(), bytes.end());
        return {};
    }
    const Bytes& written() const { return written_; }
    std::size_t taken() const { return at_; }
    const std::vector<std::int64_t>& waits() const { return waits_; }

  private:
    const Bytes bytes_;
    const End end_;
    std::size_t piece_ = 1u << 20;
    std::size_t at_ = 0;
    std::map<std::size_t, int> silences_;
    Bytes written_;
    std::vector<std::int64_t> waits_;
};

class FakeTarget final : public ReplicaTarget {
  public:
    struct Shown {
        Position position;
        std::string sha;
        bool operator==(const Shown&) const = default;
    };
    SourceState state() const override { return visible_; }
    std::uint32_t page_size() const override { return visible_.page_size; }
    Status apply_image(const File& image, std::uint32_t page_size, std::uint32_t page_count,
                       const SourceState& state) override {
        database_.resize(std::size_t{page_size} * page_count);
        LITESTREAM_TRY(image.read_exactly_at(0, database_));
        next_ = state;
        return flush();
    }
    Status add_page(std::uint32_t page_no, ByteView page) override {
        const std::size_t end = page_no * page.size();
        if (database_.size() < end) database_.resize(end);
        std::copy(page.begin(), page.end(),
                  database_.begin() + static_cast<std::ptrdiff_t>(end - page.size()));
        return {};
    }
    Status end_commit(std::uint32_t page_count, const SourceState& state) override {
        database_.resize(std::size_t{page_count} * state.page_size);
        next_ = state;
        return {};
    }
    Status flush() override {
        visible_ = next_;
        shown_.push_back({visible_.position, sha256(database_)});
        return {};
    }
    void set_state(const SourceState& state) override { visible_ = next_ = state; }

    const std::vector<Shown>& shown() const { return shown_; }
    std::string sha() const { return sha256(database_); }

  private:
    Bytes database_;
    SourceState visible_, next_;
    std::vector<Shown> shown_;
};

struct Following {
    TempDirectory directory;
    SegmentStore store{directory.path("replica.db")};
    FakeTarget target;
    ReplicaFeed feed{store, target};
    StreamSource source;
    StreamProgress progress;
    int checks = 0;
    int progress_calls = 0;
    std::uint32_t page_size = kPage;

    Following() {
        REQUIRE(store.open(0600));
        REQUIRE(feed.open());
        source.meta_path = store.path();
        source.check = [this](const std::string&) {
            checks++;
            return Status();
        };
        source.on_progress = [this] {
            progress_calls++;
            return Status();
        };
    }
    StreamContext context(StreamWire& wire) {
        return {wire,
                source,
                feed,
                page_size,
                source.page_size,
                [this](const std::function<void(StreamProgress&)>& change) { change(progress); }};
    }
    Error follow_records(StreamWire& wire) {
        StreamContext now = context(wire);
        return RecordFollower(now).run();
    }
    Error follow_records(const Bytes& bytes) {
        ScriptedWire wire(bytes);
        return follow_records(wire);
    }
    Error follow_messages(StreamWire& wire) {
        StreamContext now = context(wire);
        return MessageFollower(now).run();
    }
    Error follow_messages(const Bytes& bytes) {
        ScriptedWire wire(bytes);
        return follow_messages(wire);
    }
    const std::vector<FakeTarget::Shown>& shown() const { return target.shown(); }
    bool shows(const SmallPrimary& primary) const {
        return !shown().empty() && shown().back().position == primary.position() &&
               shown().back().sha == sha256(primary.file());
    }
    std::vector<std::string> leftovers() const {
        std::vector<std::string> names;
        const auto entries = list_directory(store.path());
        REQUIRE(entries);
        for (const DirectoryEntry& entry : *entries) {
            if (entry.name.ends_with(".tmp")) names.push_back(entry.name);
        }
        return names;
    }
};

inline bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace litestream::following
