#include "shared/store/replica_feed.h"

#include <algorithm>

#include "shared/base/text.h"

namespace litestream {

namespace {

constexpr std::size_t kMemoryLimit = 8u << 20;        // of each of the two, stored and decompressed
constexpr char kDatabaseMagic[] = "SQLite format 3";  // with its NUL: 16 bytes

std::string name_of(const std::string& generation, std::uint64_t index, std::uint64_t offset) {
    return Position{generation, index, offset}.to_string();
}

Status check_first_page(ByteView page, std::uint32_t page_size) {
    if (page.size() < 100 || !std::equal(page.begin(), page.begin() + 16, kDatabaseMagic)) {
        return corrupt("the snapshot is no SQLite database");
    }
    if (load_page_size(page.data() + kPageSizeAt) == page_size) return {};
    return corrupt("the snapshot's page size is not the one in its first page");
}

}  // namespace

// A segment on its way: first read to its end, then verified, then applied, then kept.
struct ReplicaFeed::Segment {
    explicit Segment(const std::string& folder)
        : stored(folder, kMemoryLimit), content(folder, kMemoryLimit) {}

    std::string generation;
    std::uint64_t index = 0;
    std::uint64_t start = 0;
    std::int64_t time_ms = 0;
    StagedBytes stored;   // as received
    StagedBytes content;  // as decompressed
    std::optional<Trailer> trailer;
    bool begins_index = false;  // the one behind state_'s
    SourceState end;            // once verified
    std::vector<Commit> commits;
    std::uint32_t page_count = 0;  // after the last commit

    std::uint64_t end_offset() const { return start + content.size_bytes(); }
    std::string name() const { return name_of(generation, index, start); }
};

// --- Where it stands ---

Status ReplicaFeed::open() {
    state_ = target_.state();
    stored_ = store_.end();
    if (state_.position.empty() || stored_ == state_.position) return {};
    return restart_store("follows from here on");
}

Status ReplicaFeed::restart_store(const std::string& reason) {
    Bytes header;
    if (state_.has_header) {
        const auto encoded = state_.header.encode();
        header.assign(encoded.begin(), encoded.end());
    }
    stored_ = state_.position;
    return store_.begin_generation_at(state_.position, header, reason);
}

// --- Snapshots ---

Status ReplicaFeed::take_snapshot(Source& payload, ByteView wal_header) {
    StagedBytes pages(store_.path(), 0);
    LITESTREAM_ASSIGN(const auto trailer, read_payload(payload, pages.sink()));
    if (!trailer || trailer->kind != Trailer::Kind::kSnapshot) return corrupt("the snapshot has no trailer");
    const std::uint64_t size = std::uint64_t{trailer->page_size} * trailer->page_count;
    if (!is_page_size(trailer->page_size) || size == 0 || size != pages.size_bytes()) {
        return corrupt("the snapshot's size is not what its trailer says");
    }
    SourceState state;
    state.position = trailer->end();
    state.page_size = trailer->page_size;
    state.time_ms = trailer->commits.back().time_ms;
    if (state.position.offset > 0) {
        LITESTREAM_ASSIGN(state.header, WalHeader::decode(wal_header));
        if (state.header.salts != trailer->salts || state.header.page_size != trailer->page_size) {
            return corrupt("the snapshot's WAL header is not that of its index");
        }
        state.has_header = true;
        state.chain = state.position.offset == kWalHeaderSize ? state.header.checksum : trailer->end_checksum;
        if (state.chain == WalChecksum{}) return corrupt("the snapshot does not say what follows it");
    }
    LITESTREAM_TRY(apply_staged(pages, trailer->page_size, state));
    if (state.position.index > 0) previous_ = Previous{trailer->previous_end, trailer->previous_checksum};
    return {};
}

Status ReplicaFeed::take_image(Source& pages, std::uint64_t size_bytes, const SourceState& state) {
    StagedBytes staged(store_.path(), 0);
    Bytes piece(256u << 10);
    while (true) {
        LITESTREAM_ASSIGN(const std::size_t n, pages.read(piece));
        if (n == 0) break;
        LITESTREAM_TRY(staged.append(ByteView(piece).first(n)));
        if (staged.size_bytes() > size_bytes) break;
    }
    if (!is_page_size(state.page_size) || size_bytes == 0 || staged.size_bytes() != size_bytes ||
        size_bytes % state.page_size != 0) {
        return corrupt("the snapshot is not a number of whole pages");
    }
    return apply_staged(staged, state.page_size, state);
}

Status ReplicaFeed::apply_staged(const StagedBytes& pages, std::uint32_t page_size,
                                 const SourceState& state) {
    Bytes first(page_size);
    LITESTREAM_TRY(pages.file().read_exactly_at(0, first));
    LITESTREAM_TRY(check_first_page(first, page_size));
    const auto page_count = static_cast<std::uint32_t>(pages.size_bytes() / page_size);
    auto applied = target_.apply_image(pages.file(), page_size, page_count, state);
    state_ = target_.state();
    previous_.reset();
    LITESTREAM_TRY(applied);
    return restart_store("a snapshot of " + state.position.to_string() + " was applied");
}

// --- Segments ---

Status ReplicaFeed::take_segment(const std::string& generation, std::uint64_t index,
                                 std::uint64_t start_offset, Source& payload, std::int64_t time_ms) {
    Segment segment(store_.path());
    segment.generation = generation;
    segment.index = index;
    segment.start = start_offset;
    segment.time_ms = time_ms;
    segment.begins_index = index == state_.position.index + 1;
    const std::string where = "segment " + segment.name();
    if (auto status = check_place(segment); !status) return std::move(status).error().context(where);
    if (auto status = read(segment, payload); !status) return std::move(status).error().context(where);
    if (is_passed(segment)) return {};
    if (auto status = verify(segment); !status) return std::move(status).error().context(where);
    LITESTREAM_TRY(apply(segment));
    return keep(segment);
}

Status ReplicaFeed::check_place(const Segment& segment) const {
    const Position& at = state_.position;
    const bool is_same = segment.index == at.index && segment.start <= at.offset;
    const bool is_next = segment.begins_index && segment.start == 0 && at.offset > 0;
    const bool is_in_place = segment.index < at.index || is_same || is_next;
    if (segment.generation == at.generation && is_in_place) return {};
    return corrupt("does not follow " + (at.empty() ? std::string("anything") : at.to_string()));
}

bool ReplicaFeed::is_passed(const Segment& segment) const {
    if (segment.index != state_.position.index) return segment.index < state_.position.index;
    return segment.content.size_bytes() > 0 && segment.end_offset() <= state_.position.offset;
}

Status ReplicaFeed::read(Segment& segment, Source& payload) {
    struct Tee final : Source {
        Source& from;
        StagedBytes& to;
        Tee(Source& source, StagedBytes& bytes) : from(source), to(bytes) {}
        Result<std::size_t> read(ByteSpan buffer) override {
            LITESTREAM_ASSIGN(const std::size_t n, from.read(buffer));
            LITESTREAM_TRY(to.append(buffer.first(n)));
            return n;
        }
    };
    Tee tee(payload, segment.stored);
    LITESTREAM_ASSIGN(segment.trailer, read_payload(tee, segment.content.sink()));
    LITESTREAM_TRY(check_header(segment));
    return check_trailer(segment);
}

// Of the index that is being followed: two WALs under one name would not show otherwise.
Status ReplicaFeed::check_header(const Segment& segment) const {
    const bool is_known = segment.index == state_.position.index && state_.has_header;
    if (segment.start != 0 || !is_known) return {};
    Bytes begin;
    LITESTREAM_TRY(segment.content.read([&begin](ByteView bytes) {
        const std::size_t n = std::min(kWalHeaderSize - begin.size(), bytes.size());
        begin.insert(begin.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
        return Status();
    }));
    if (std::ranges::equal(begin, state_.header.encode())) return {};
    return corrupt("begins with another WAL header than its index has");
}

Status ReplicaFeed::check_trailer(const Segment& segment) const {
    if (!segment.trailer) return {};
    const Trailer& trailer = *segment.trailer;
    const bool is_in_place = trailer.kind == Trailer::Kind::kSegment &&
                             trailer.generation == segment.generation && trailer.index == segment.index &&
                             trailer.start_offset == segment.start &&
                             trailer.end_offset == segment.end_offset();
    if (!is_in_place) return corrupt("its trailer is another segment's");
    const bool is_first = segment.begins_index || state_.position.offset <= kWalHeaderSize;
    const std::optional<Previous> before =
        segment.begins_index ? Previous{state_.position.offset, state_.chain} : previous_;
    if (!is_first || segment.index == 0 || !before) return {};
    if (trailer.previous_end == before->end && trailer.previous_checksum == before->chain) return {};
    return corrupt("the index before it ended at " + to_hex16(trailer.previous_end) +
                   ", not where it was applied to");
}

// Passes the frames behind state_ through a chain that goes on from there.
Status ReplicaFeed::each_frame(Segment& segment, const FrameChain::OnFrame& on_frame) {
    const bool from_start = segment.begins_index || !state_.has_header;
    std::optional<FrameChain> chain;
    if (from_start) {
        chain.emplace(on_frame);
    } else {
        chain.emplace(state_.header, state_.position.offset, state_.chain, on_frame);
    }
    std::uint64_t skip = from_start ? 0 : state_.position.offset - segment.start;
    LITESTREAM_TRY(segment.content.read([&](ByteView bytes) {
        const std::size_t passed = std::min<std::uint64_t>(skip, bytes.size());
        skip -= passed;
        return chain->feed(bytes.subspan(passed));
    }));
    LITESTREAM_TRY(chain->finish());
    if (!chain->has_header()) return corrupt("holds no WAL header");
    segment.end.position = {segment.generation, segment.index, chain->offset()};
    segment.end.has_header = true;
    segment.end.header = chain->header();
    segment.end.chain = chain->checksum();
    segment.end.page_size = chain->header().page_size;
    return {};
}

Status ReplicaFeed::verify(Segment& segment) {
    if (segment.content.size_bytes() == 0) return corrupt("is empty");
    LITESTREAM_TRY(each_frame(segment, [&](const FrameChain::Frame& frame) -> Status {
        if (!frame.header.is_commit()) return {};
        segment.commits.push_back({frame.end_offset, segment.time_ms});
        segment.page_count = frame.header.commit_pages;
        return {};
    }));
    if (segment.end.page_size != state_.page_size && state_.page_size != 0) {
        return corrupt("its page size is " + std::to_string(segment.end.page_size) + ", not " +
                       std::to_string(state_.page_size));
    }
    if (!segment.trailer) return {};
    return check_content(segment);
}

// The trailer against the frames; the commits get their times from it.
Status ReplicaFeed::check_content(Segment& segment) const {
    const Trailer& trailer = *segment.trailer;
    const bool fits = trailer.end_checksum == segment.end.chain &&
                      trailer.salts == segment.end.header.salts &&
                      trailer.page_size == segment.end.page_size && trailer.page_count == segment.page_count;
    if (!fits) return corrupt("its frames do not end as its trailer says");
    const auto& known = trailer.commits;
    const std::uint64_t from = std::max<std::uint64_t>(segment.start, state_.position.offset);
    auto listed =
        segment.begins_index ? known.begin() : std::ranges::upper_bound(known, from, {}, &Commit::end_offset);
    for (Commit& commit : segment.commits) {
        if (listed == known.end() || listed->end_offset < commit.end_offset) break;
        commit.time_ms = listed->time_ms;
        if (listed->end_offset == commit.end_offset) ++listed;
    }
    return listed == known.end() ? Status() : corrupt("its trailer lists a commit where none ends");
}

Status ReplicaFeed::apply(Segment& segment) {
    if (segment.commits.empty()) {  // the header alone
        note_index(segment);
        return {};
    }
    const Previous before{state_.position.offset, state_.chain};
    SourceState state = segment.end;
    auto commit = segment.commits.begin();
    auto applied = each_frame(segment, [&](const FrameChain::Frame& frame) -> Status {
        LITESTREAM_TRY(target_.add_page(frame.header.page_no, frame.page));
        if (!frame.header.is_commit()) return {};
        state.position.offset = frame.end_offset;
        state.chain = frame.header.checksum;
        state.time_ms = (commit++)->time_ms;
        return target_.end_commit(frame.header.commit_pages, state);
    });
    if (applied) applied = target_.flush();
    if (applied && segment.begins_index) previous_ = before;
    state_ = target_.state();
    return applied;
}

void ReplicaFeed::note_index(const Segment& segment) {
    if (segment.begins_index) previous_ = Previous{state_.position.offset, state_.chain};
    const std::int64_t time_ms = state_.time_ms;
    state_ = segment.end;
    state_.time_ms = time_ms;
    target_.set_state(state_);
}

// --- For those that the replica serves ---

// The database has it: what goes wrong here only means that the store begins anew from there.
Status ReplicaFeed::keep(Segment& segment) {
    const bool is_next = segment.begins_index && stored_.index + 1 == segment.index;
    const bool continues = stored_.index == segment.index && stored_.offset == segment.start;
    auto kept = is_next || continues ? store(segment) : Status(corrupt("overlaps"));
    if (!kept) return restart_store("follows from here on");
    stored_ = segment.end.position;
    store_.trim();
    return {};
}

Status ReplicaFeed::store(Segment& segment) {
    const auto header = segment.end.header.encode();
    const bool holds_header = segment.start == 0;
    if (holds_header) LITESTREAM_TRY(store_.begin_index(segment.index, header));
    if (segment.commits.empty()) return {};
    Trailer trailer;
    if (segment.trailer) {
        trailer = *segment.trailer;
    } else {
        trailer.generation = segment.generation;
        trailer.index = segment.index;
        trailer.end_offset = segment.end_offset();
        trailer.end_checksum = trailer.source_checksum = segment.end.chain;
        trailer.salts = segment.end.header.salts;
        trailer.page_size = segment.end.page_size;
        trailer.page_count = segment.page_count;
        trailer.commits = segment.commits;
        if (previous_) trailer.previous_end = previous_->end;
        if (previous_) trailer.previous_checksum = previous_->chain;
    }
    const std::uint64_t start = holds_header ? std::uint64_t{kWalHeaderSize} : segment.start;
    if (segment.trailer && !holds_header) return store_.store_received(segment.stored, trailer);
    trailer.start_offset = start;
    LITESTREAM_ASSIGN(auto draft, store_.draft_segment(segment.index, start));
    std::uint64_t skip = start - segment.start;
    LITESTREAM_TRY(segment.content.read([&](ByteView bytes) {
        const std::size_t passed = std::min<std::uint64_t>(skip, bytes.size());
        skip -= passed;
        return draft.write(bytes.subspan(passed));
    }));
    return draft.publish(trailer);
}

}  // namespace litestream
