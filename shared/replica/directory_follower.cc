#include "shared/replica/directory_follower.h"

#include <fcntl.h>

#include <algorithm>

#include "shared/base/directory.h"
#include "shared/format/frame_chain.h"
#include "shared/format/path.h"
#include "shared/replica/generation_choice.h"
#include "shared/replica/restorer.h"

namespace litestream {
namespace {

constexpr std::size_t kDatabaseHeaderSize = 100;
constexpr std::uint64_t kSegmentsEvery = 4;  // looks that find nothing
constexpr std::uint64_t kGenerationsEvery = 16;

Result<std::unique_ptr<Source>> open_file(ReplicaClient& client, const std::string& name) {
    auto source = client.open(name);
    if (!source) return unreadable(std::move(source).error());
    return source;
}

// The first bytes of the WAL of an index, out of its first segment.
Result<Bytes> read_wal_header(ReplicaClient& client, const Generation& generation, std::uint64_t index) {
    const auto first = std::ranges::find_if(generation.segments, [index](const SegmentFile& segment) {
        return segment.info.index == index && segment.info.offset == 0;
    });
    if (first == generation.segments.end()) {
        return corrupt("the beginning of its index, " + Position{generation.name, index, 0}.to_string() +
                       ", is not there");
    }
    LITESTREAM_ASSIGN(const auto source, open_file(client, first->info.name));
    Lz4Reader lz4(*source);
    Bytes header(kWalHeaderSize);
    std::size_t filled = 0;
    while (filled < header.size()) {
        LITESTREAM_ASSIGN(const std::size_t n, lz4.read(ByteSpan(header).subspan(filled)));
        if (n == 0) return corrupt(first->info.name + ": ends inside a header");
        filled += n;
    }
    return header;
}

bool knows_what_follows(const Trailer& snapshot) {
    return snapshot.end_offset <= kWalHeaderSize || snapshot.end_checksum != WalChecksum{};
}

}  // namespace

Result<bool> DirectoryFollower::look() {
    const Position before = feed_.state().position;
    LITESTREAM_ASSIGN(const bool has_news, ask(question()));
    auto followed = has_news ? follow() : Status();
    if (!followed && followed.error().code == ErrorCode::kCorrupt) {
        followed = start_over(std::move(followed).error());
    }
    LITESTREAM_TRY(followed);
    const bool has_moved = feed_.state().position != before;
    quiet_looks_ = has_moved ? 0 : quiet_looks_ + 1;
    return has_moved;
}

// --- What to ask for ---

// Where the names are 0.3's, that of the next segment is not known.
DirectoryFollower::Question DirectoryFollower::question() const {
    const Position& at = feed_.state().position;
    if (!is_billed_ || !has_looked_ || at.empty()) return Question::kEverything;
    if (quiet_looks_ > 0 && quiet_looks_ % kGenerationsEvery == 0) return Question::kGenerations;
    if (quiet_looks_ % kSegmentsEvery == 0) return Question::kSegments;
    const bool is_known =
        !last_taken_ || last_taken_->name == segment_path(last_taken_->generation, last_taken_->index,
                                                          last_taken_->offset);
    return is_known ? Question::kNextSegment : Question::kSegments;
}

// False: there is nothing to be taken. One request, unless there is.
Result<bool> DirectoryFollower::ask(Question question) {
    switch (question) {
        case Question::kEverything:
            LITESTREAM_TRY(ask_for_generations());
            return true;
        case Question::kGenerations:
            return ask_for_generations();
        case Question::kSegments:
            return true;
        case Question::kNextSegment:
            return ask_for_next();
    }
    return true;
}

// True: they are others than before.
Result<bool> DirectoryFollower::ask_for_generations() {
    LITESTREAM_ASSIGN(const auto names, client_.generations());
    const bool is_settled = has_looked_ && !feed_.state().position.empty() && names == names_;
    if (is_settled) return false;
    if (is_only_one(names)) {
        names_ = names;
    } else {
        LITESTREAM_TRY(choose(names));
    }
    has_looked_ = true;
    return true;
}

// Then there is no choice, for which everything would have to be listed. A store has no empty folders.
bool DirectoryFollower::is_only_one(const std::vector<std::string>& names) const {
    return is_billed_ && names.size() == 1 && names.front() == feed_.state().position.generation;
}

Result<bool> DirectoryFollower::ask_for_next() const {
    const Position& at = feed_.state().position;
    const auto trailer = client_.trailer(segment_path(at.generation, at.index, at.offset));
    if (!trailer && trailer.error().code != ErrorCode::kNotFound) return trailer.error();
    return trailer.has_value();
}

// --- Taking it ---

// Only a new name can bring another generation than the one that was right before. One without a snapshot is
// waited for.
Status DirectoryFollower::choose(const std::vector<std::string>& names) {
    LITESTREAM_ASSIGN(const auto generations, load_generations(client_));
    const std::string current = feed_.state().position.generation;
    const auto chosen = choose_generation(generations, "", {});
    if (!chosen) {
        const bool is_there = std::ranges::find(generations, current, &Generation::name) != generations.end();
        if (is_there) return {};
        return Error{ErrorCode::kNotFound, client_.url() + ": " + chosen.error().message};
    }
    const Generation& generation = generations[*chosen];
    if (generation.name != current) LITESTREAM_TRY(take_snapshot(generation));
    // A folder without a file yet may be the next generation: its name stays a new one until it has some.
    if (generations.size() == names.size()) names_ = names;
    return {};
}

Status DirectoryFollower::follow() {
    LITESTREAM_ASSIGN(const auto segments, client_.segments_from(listed_from()));
    for (std::size_t i = 0; i < segments.size(); ++i) {
        LITESTREAM_ASSIGN(const bool behind, is_behind(segments, i));
        if (!behind) LITESTREAM_TRY(take(segments[i]));
        last_taken_ = segments[i];
    }
    return {};
}

// The last segment of the state's index that was seen; before it is nothing new.
Position DirectoryFollower::listed_from() const {
    Position from = feed_.state().position;
    const bool is_seen =
        last_taken_ && last_taken_->generation == from.generation && last_taken_->index == from.index;
    from.offset = is_seen ? last_taken_->offset : 0;
    return from;
}

// A newer snapshot heals what is missing or damaged; without one it is an error.
Status DirectoryFollower::start_over(Error gap) {
    const Position at = feed_.state().position;
    LITESTREAM_ASSIGN(const auto generations, load_generations(client_));
    const auto current = std::ranges::find(generations, at.generation, &Generation::name);
    const bool heals = current != generations.end() && !current->snapshots.empty() &&
                       at.before(current->snapshots.back().position());
    if (!heals) return std::move(gap).context(client_.url());
    LITESTREAM_TRY(take_snapshot(*current));
    return follow();
}

// A segment ends where the next one of its index begins; of the last one only its trailer tells.
Result<bool> DirectoryFollower::is_behind(const std::vector<SegmentInfo>& segments, std::size_t at) {
    const SegmentInfo& segment = segments[at];
    const Position& state = feed_.state().position;
    if (segment.index != state.index) return segment.index < state.index;
    if (segment.offset >= state.offset) return false;
    const bool is_last = at + 1 == segments.size() || segments[at + 1].index != segment.index;
    if (!is_last) return segments[at + 1].offset <= state.offset;
    if (last_taken_ && segment.name == last_taken_->name) return true;
    LITESTREAM_ASSIGN(const auto trailer, client_.trailer(segment.name));
    return trailer && trailer->end_offset <= state.offset;
}

Status DirectoryFollower::take(const SegmentInfo& segment) {
    LITESTREAM_ASSIGN(const auto source, open_file(client_, segment.name));
    return feed_.take_segment(segment.generation, segment.index, segment.offset, *source, segment.created_ms);
}

Status DirectoryFollower::take_snapshot(const Generation& generation) {
    last_taken_.reset();
    LITESTREAM_ASSIGN(const std::size_t newest, choose_snapshot(generation, {}));
    const SnapshotFile& snapshot = generation.snapshots[newest];
    if (!snapshot.trailer || !knows_what_follows(*snapshot.trailer)) return take_restored(generation);
    const std::string where = client_.url() + "/" + snapshot.info.name;
    Bytes wal_header;
    if (snapshot.trailer->end_offset > 0) {
        auto header = read_wal_header(client_, generation, snapshot.info.index);
        if (!header) return std::move(header).error().context(where);
        wal_header = *std::move(header);
    }
    LITESTREAM_ASSIGN(const auto source, open_file(client_, snapshot.info.name));
    auto taken = feed_.take_snapshot(*source, wal_header);
    return taken ? Status() : Status(std::move(taken).error().context(where));
}

// Where a snapshot does not say at which commit it was taken, the end of what follows it is a known state.
Status DirectoryFollower::take_restored(const Generation& generation) {
    const std::string path = join_path(feed_.folder(), "restored");
    LITESTREAM_TRY(remove_file(path));
    RestoreOptions options;
    options.generation = generation.name;
    options.check = check_;
    LITESTREAM_ASSIGN(const RestoreResult restored, restore(client_, path, options));
    auto file = File::open(path, O_RDONLY);
    LITESTREAM_TRY(remove_file(path));
    LITESTREAM_TRY(file);
    LITESTREAM_ASSIGN(SourceState state, state_at(restored.position));
    std::uint8_t header[kDatabaseHeaderSize];
    LITESTREAM_TRY(file->read_exactly_at(0, header));
    state.page_size = load_page_size(header + kPageSizeAt);
    state.time_ms = generation.last_ms();
    LITESTREAM_ASSIGN(const struct stat status, file->status());
    FileSource pages(*std::move(file));
    return feed_.take_image(pages, static_cast<std::uint64_t>(status.st_size), state);
}

// The chain of the position's index, followed from its beginning.
Result<SourceState> DirectoryFollower::state_at(const Position& position) const {
    SourceState state;
    state.position = position;
    if (position.offset == 0) return state;
    FrameChain chain([&](const FrameChain::Frame& frame) {
        if (frame.end_offset == position.offset) state.chain = frame.header.checksum;
        return Status();
    });
    LITESTREAM_ASSIGN(const auto segments, client_.segments(position.generation));
    for (const SegmentInfo& segment : segments) {
        if (segment.index != position.index || segment.offset >= position.offset) continue;
        LITESTREAM_ASSIGN(const auto source, open_file(client_, segment.name));
        const auto read = read_payload(*source, [&](ByteView bytes) { return chain.feed(bytes); });
        if (!read) return Error(read.error()).context(client_.url() + "/" + segment.name);
    }
    if (chain.offset() < position.offset) return corrupt(position.to_string() + ": is not there any more");
    state.has_header = true;
    state.header = chain.header();
    if (position.offset == kWalHeaderSize) state.chain = state.header.checksum;
    return state;
}

}  // namespace litestream
