#include "vfs/capture.h"

#include <algorithm>

#include "shared/base/clock.h"
#include "shared/base/events.h"
#include "shared/base/log.h"
#include "shared/base/random.h"

namespace litestream {

namespace {

constexpr int kMaxLooks = 1000;  // in one go, while the WAL keeps moving
constexpr std::int64_t kMinRetryMs = 100;
constexpr std::int64_t kMaxRetryMs = 5000;
// Others who reset the WAL before it was captured may do so all the time; every generation needs a snapshot.
constexpr std::int64_t kGenerationIntervalMs = 1000;
constexpr const char* kRestarted = "the WAL was restarted before everything in it was captured";

// What a wal-index without a life to compare with says of a fresh generation.
CapturedLife fresh_life(const std::string& generation, const std::string& predecessor) {
    CapturedLife life;
    life.end = {generation, 0, 0};
    life.predecessor = predecessor;
    life.is_known = true;
    return life;
}

}  // namespace

void Capture::look() {
    retry_ms_ = -1;
    if (!database_.wants_capture()) return end();
    begin_to_expect();
    for (int i = 0; i < kMaxLooks; ++i) {
        auto progress = try_look();
        if (!progress) {
            end_expecting();  // however long it lasts, others go on
            // The meta directory was removed: it is set up again, from the start.
            if (progress.error().code == ErrorCode::kNotFound) started_ = false;
            database_.set_capture_error(progress.error().message);
            const std::int64_t back_off = kMinRetryMs << std::min(failures_++, 6);
            retry_ms_ = steady_clock_ms() + std::min(back_off, kMaxRetryMs);
            return;
        }
        failures_ = 0;
        if (*progress == Progress::kDone) return expect_commit();
    }
    database_.ring();  // others have their turn first
}

Result<Capture::Progress> Capture::try_look() {
    auto evidence = database_.take_evidence();
    if (evidence) {
        started_ = false;
        wal_ = {};
        evidence_ = std::move(evidence);
    }
    // Not mapped, or a writer is between the two copies of the header: its unlock rings again.
    const auto header = database_.wal_index_header();
    if (!header) return Progress::kDone;
    // Opened again since the first line: this may be the header of the new opening, which its evidence
    // precedes.
    if (database_.has_evidence()) return Progress::kAgain;
    LITESTREAM_ASSIGN(const bool is_ours, take_lock());
    if (!is_ours) {
        if (!watches_holder()) return Progress::kAgain;
        stand_by(*header);
        return Progress::kDone;
    }
    is_holder_watched_ = false;
    if (!started_) {
        LITESTREAM_TRY(start(*header, evidence_.value_or(OpenEvidence{})));
        started_ = true;
        has_lost_store_ = false;
    }
    if (auto reason = database_.store().take_request()) requested_ = std::move(reason);
    if (requested_) {
        LITESTREAM_TRY(begin_generation(*requested_, *header));
        requested_.reset();
    }
    return advance(*header);
}

Status Capture::open_store() {
    LITESTREAM_ASSIGN(const unsigned mode, database_.file_mode());
    LITESTREAM_TRY(database_.store().open(mode));
    marked_ = {};
    auto mark = WalMarkFile::open(database_.store().path(), WalMarkKind::kCaptured, mode);
    captured_mark_ = mark ? *std::move(mark) : WalMarkFile();
    return {};
}

// The WAL was just opened by this process: continue where the store ends, or say why not.
Status Capture::start(const WalIndexHeader& header, const OpenEvidence& evidence) {
    LITESTREAM_TRY(open_store());
    LITESTREAM_TRY(wal_.open(database_.wal_path()));
    database_.watch(database_.wal_path(), FileWatch::Event::kModified);  // else others' commits wait for ours
    const std::string damage = database_.store().damage();
    if (auto reason = cannot_continue(header, evidence)) {
        LITESTREAM_TRY(begin_generation(damage.empty() ? *reason : damage + "; " + *reason, header));
        database_.end_promotion();
    } else if (!damage.empty()) {
        log_line("litestream: " + database_.path() + ": " + damage);
        record_event(database_.path(), "segment_damaged", damage);
    }
    return {};
}

// nullopt: capture goes on behind the store's end, and life_ says from where.
std::optional<std::string> Capture::cannot_continue(const WalIndexHeader& header,
                                                    const OpenEvidence& evidence) {
    const SegmentStore& store = database_.store();
    if (auto reason = database_.promoted(); !reason.empty()) return reason;
    if (store.generation().empty()) {
        return has_lost_store_ ? "the meta directory was removed or replaced" : "no generation exists";
    }
    if (store.tail_is_foreign()) return "the last segment is another program's";
    const auto& tail = store.tail();
    life_ = fresh_life(store.generation(), tail ? tail->predecessor : "");
    previous_ = {};
    source_chain_ = {};
    if (tail) {
        life_.end = tail->end();
        life_.salts = tail->salts;
        life_.page_size = tail->page_size;
        life_.frames = static_cast<std::uint32_t>((tail->end_offset - kWalHeaderSize) /
                                                  (kFrameHeaderSize + tail->page_size));
        life_.previous_end = tail->previous_end;
        life_.previous_checksum = tail->previous_checksum;
        life_.chain = tail->end_checksum;
        life_.is_reframed = tail->end_checksum != tail->source_checksum;
        source_chain_ = tail->source_checksum;
        last_commit_ms_ = tail->commits.back().time_ms;
    }
    if (!store.promised().empty() && life_.end.before(store.promised())) {
        return "a replica has commits that are not here any more (power loss)";
    }
    const bool is_as_closed = evidence.wal_was_empty && evidence.closed_at == life_.end;
    if (store.was_streamed_before_boot() && !is_as_closed) {
        return "live replicas may have commits that are not here any more (the machine was started again)";
    }
    if (tail && header.frame_count > 0 && header.salts == life_.salts) {
        life_.change = header.change;  // proven by the frames, not by the count
        word_order_ = header.word_order;
        return std::nullopt;  // continue_life() compares our last frame
    }
    const auto restarted = read_wal_mark(store.path(), WalMarkKind::kRestarted);
    if (is_begun_behind_end(restarted, header) || is_begun_behind_end(evidence.begun, header)) {
        return begin_behind(header);
    }
    const bool is_at_rest = evidence.rested_at == life_.end;
    if (is_as_closed || is_at_rest) {
        life_.change = 0;  // the wal-index was new: it counts all commits since
        return std::nullopt;
    }
    if (evidence.wal_was_empty) {
        return evidence.closed_at ? "the last segment is not the one at which the database was closed"
                                  : "the WAL is gone and the database file is not as a clean close left it";
    }
    return "the WAL was restarted while nobody captured it";
}

// The WAL was begun anew where the store ends. An index that was recovered from a WAL without commits has
// salts of zeros; those in the file then count. An absent WAL has none: no life that a mark could be of.
bool Capture::is_begun_behind_end(const std::optional<WalMark>& mark, const WalIndexHeader& header) const {
    if (!mark || mark->position != life_.end) return false;
    if (header.salts != Salts{}) return mark->salts == header.salts;
    const auto in_file = wal_.header();
    return in_file && in_file->salts == mark->salts;
}

// It holds all commits since.
std::optional<std::string> Capture::begin_behind(const WalIndexHeader& header) {
    life_.change = header.change;
    if (header.frame_count == 0) return std::nullopt;
    const auto count = wal_.count_commits(header.frame_count, header.page_size);
    if (!count) return count.error().message;
    life_.change -= count->commits;
    return std::nullopt;
}

Result<Capture::Progress> Capture::advance(const WalIndexHeader& header) {
    if (header.frame_count == 0) {
        if (header.change == life_.change) {
            publish(header);
            return Progress::kDone;
        }
        const bool by_us = database_.exclusive().kind() != ExclusiveWal::Kind::kNone;
        LITESTREAM_TRY(begin_generation(
            by_us ? kRestarted : "commits were checkpointed by others before they were captured", header));
        return Progress::kAgain;
    }
    if (header.page_size != life_.page_size && life_.page_size != 0) {
        LITESTREAM_TRY(begin_generation("the page size changed", header));
        return Progress::kAgain;
    }
    const bool same_life = header.salts == life_.salts && life_.frames > 0;
    return same_life ? continue_life(header) : change_life(header);
}

Result<Capture::Progress> Capture::continue_life(const WalIndexHeader& header) {
    if (header.frame_count < life_.frames) {
        LITESTREAM_TRY(begin_generation(
            "the WAL ends before the last captured commit (recovered after a crash)", header));
        return Progress::kAgain;
    }
    LITESTREAM_ASSIGN(const FrameHeader last, wal_.frame_header(life_.frames, header.page_size));
    if (last.checksum != source_chain_) {
        if (!still_in_life(header.salts)) return Progress::kAgain;
        LITESTREAM_TRY(begin_generation("the last captured commit was replaced in the WAL", header));
        return Progress::kAgain;
    }
    return copy_life(header);
}

// New salts: the WAL was restarted. Every commit between our last one and the first of the new life must be
// accounted for.
Result<Capture::Progress> Capture::change_life(const WalIndexHeader& header) {
    LITESTREAM_ASSIGN(const CommitCount count, wal_.count_commits(header.frame_count, header.page_size));
    if (!still_in_life(header.salts)) return Progress::kAgain;
    const std::uint32_t made = header.change - life_.change;
    if (made > count.commits && life_.frames > 0) LITESTREAM_TRY(salvage(made - count.commits));
    if (!accounts_for(count, header.change - life_.change)) {
        LITESTREAM_TRY(begin_generation(kRestarted, header));
        return Progress::kAgain;
    }
    LITESTREAM_TRY(begin_life(header));
    return copy_life(header);
}

// The tail of the old life, as far as the new one has not overwritten it: exactly `commits` commits in a
// valid chain. Nothing is captured if they are not there.
Status Capture::salvage(std::uint32_t commits) {
    WalIndexHeader old;
    old.salts = life_.salts;
    old.page_size = life_.page_size;
    old.change = life_.change + commits;
    WalChecksum chain = source_chain_;
    Bytes frame(kFrameHeaderSize + life_.page_size);
    for (std::uint32_t frame_no = life_.frames + 1; commits > 0; ++frame_no) {
        if (!wal_.read_frames(frame_no, life_.page_size, frame)) return {};
        const FrameHeader header = FrameHeader::decode(frame.data());
        chain = frame_checksum(chain, frame.data(), ByteView(frame).subspan(kFrameHeaderSize), word_order_);
        if (header.salts != life_.salts || header.checksum != chain) return {};
        if (!header.is_commit()) continue;
        old.frame_count = frame_no;
        old.page_count = header.commit_pages;
        --commits;
    }
    is_salvaging_ = true;
    auto progress = copy_life(old);
    is_salvaging_ = false;
    LITESTREAM_TRY(progress);
    return {};
}

Result<Capture::Progress> Capture::copy_life(const WalIndexHeader& header) {
    while (life_.frames < header.frame_count) {
        LITESTREAM_ASSIGN(const Progress progress, copy_segment(header));
        if (progress == Progress::kAgain) return progress;
    }
    life_.change = header.change;
    publish(header);
    database_.store().trim();
    return Progress::kDone;
}

bool Capture::still_in_life(const Salts& salts) const {
    if (is_salvaging_) return true;  // the chain was verified instead
    const auto now = database_.wal_index_header();
    return now ? now->salts == salts : !database_.is_mapped();
}

Status Capture::begin_generation(const std::string& reason, const WalIndexHeader& header) {
    if (started_ && steady_clock_ms() < next_generation_ms_) {
        return Error{ErrorCode::kBusy, "a new generation is due (" + reason +
                                           "), but the last one is not a second old: capture stays behind"};
    }
    next_generation_ms_ = steady_clock_ms() + kGenerationIntervalMs;
    SegmentStore& store = database_.store();
    const std::string predecessor = store.generation();
    const std::string generation = random_hex(8);
    LITESTREAM_TRY(store.begin_generation(generation, reason));
    log_line("litestream: " + database_.path() + ": new generation " + generation + ": " + reason);
    record_event(database_.path(), "generation", generation + ": " + reason);
    life_ = fresh_life(generation, predecessor);
    previous_ = {};
    source_chain_ = {};
    // Everything in the WAL is captured from here on, and what lies before is the snapshot's.
    life_.change = header.change;
    if (header.frame_count == 0) return {};
    LITESTREAM_ASSIGN(const CommitCount count, wal_.count_commits(header.frame_count, header.page_size));
    life_.change = header.change - count.commits;
    return {};
}

// Without powersafe overwrite, SQLite repeats the commit frame up to the end of the sector: one commit then
// has several commit frames (wal.c, sqlite3WalFrames), and only a range can be told.
bool Capture::accounts_for(const CommitCount& count, std::uint32_t commits) const {
    if (database_.has_powersafe_overwrite()) return commits == count.commits;
    return commits <= count.commits && commits >= count.commits - count.repeats;
}

// Index 0 of a generation, or the index after the last one.
Status Capture::begin_life(const WalIndexHeader& header) {
    LITESTREAM_ASSIGN(const WalHeader wal_header, wal_.header());
    if (wal_header.salts != header.salts || wal_header.page_size != header.page_size) {
        return corrupt(database_.wal_path() + ": its header does not belong to the wal-index");
    }
    CapturedLife next = life_;
    if (life_.frames > 0) {
        next.end.index = life_.end.index + 1;
        next.previous_end = life_.end.offset;
        next.previous_checksum = life_.chain;
    }
    LITESTREAM_TRY(database_.store().begin_index(next.end.index, wal_header.encode()));
    next.end.offset = kWalHeaderSize;
    next.salts = header.salts;
    next.page_size = header.page_size;
    next.frames = 0;
    next.is_reframed = false;
    previous_ = life_;  // also the start of a generation, where an image may have been pinned
    life_ = next;
    word_order_ = wal_header.word_order;
    life_.chain = source_chain_ = wal_header.checksum;
    return {};
}

// The header is the one that all of it was captured of.
void Capture::publish(const WalIndexHeader& header) {
    database_.publish_captured(life_, previous_);
    const WalMark mark{life_.end, header.salts, header.frame_count, header.frame_checksum};
    if (is_salvaging_ || mark.frames == 0 || mark == marked_) return;
    // Where it cannot be written, processes that stand by wait for longer, and capture goes on.
    if (captured_mark_.write(mark)) marked_ = mark;
}

}  // namespace litestream
