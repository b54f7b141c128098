// SegmentStore: the meta directory of one database, `PATH-litestream/` (Litestream e6f7c60, section 1):
//
//   generation                               16 hex digits and a newline
//   position                                 start of the last segment, 51 bytes, rewritten in place
//   promised-NAME                            how far replica NAME may have come (ours)
//   streamed                                 in which boot live replicas were sent which generation (ours)
//   capture-lock                             locked by the process that writes here; nobody else may open it
//   generations/GEN/reason                   why this generation began (ours)
//   generations/GEN/wal/INDEX/OFFSET.wal.lz4 one file a segment; offset 0 holds just the 32 header bytes
//
// Capture puts segments on this table and replicators take them from it; neither knows the other. The list of
// segments is kept in memory, in the order in which they were made, over generations.
//
// Segments are not synced one by one: after power loss a damaged tail is dropped at open() and captured again
// from the WAL, which is the truth; sync() makes everything so far durable.
//
// Thread-safe. Writers (open, begin_*, Draft) are one thread at a time, the capture thread. Subscribers are
// called on it, with no lock held, and must not block. Lock order: mutex_ is innermost, never held across
// I/O.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shared/base/directory.h"
#include "shared/format/segment.h"
#include "shared/store/staged_bytes.h"

namespace litestream {

// Local segments that every replica has are kept up to this much, for live replicas that come back.
constexpr std::uint64_t kLocalTailBytes = 64u << 20;

// Beyond this much, segments go although a replica still lacks them: it then needs a new snapshot. A bucket
// that is out of reach for long must not fill the disk.
constexpr std::uint64_t kLocalCapBytes = 1u << 30;

constexpr const char* kPromisePrefix = "promised-";

struct SegmentRef {
    std::string generation;
    std::uint64_t index = 0;
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    std::uint64_t disk_bytes = 0;     // rounded up to blocks of 4 KiB
    std::uint64_t generation_no = 0;  // counts generations in order of birth; within this process

    bool is_header() const { return start == 0; }
    Position end_position() const { return {generation, index, end}; }
};

class SegmentStore {
  public:
    explicit SegmentStore(const std::string& database_path);
    SegmentStore(const SegmentStore&) = delete;
    SegmentStore& operator=(const SegmentStore&) = delete;

    const std::string& path() const { return path_; }
    static std::string path_for(const std::string& database_path) { return database_path + "-litestream"; }

    // --- Writers: the capture thread ---

    // Creates the directory if need be, removes temporary files, reads the list, drops a damaged tail.
    // `database_mode`: files get it, directories with x where it has r.
    Status open(unsigned database_mode);
    // Forgets what was read: another process may write here, or the directory is not what it was.
    void close();
    // The last segment's trailer: where capture left off; nullopt: no segment in the current generation, or
    // one that is not ours.
    const std::optional<Trailer>& tail() const { return tail_; }
    // True where the current generation's last segments carry no trailer (another program's).
    bool tail_is_foreign() const { return tail_is_foreign_; }
    // What open() dropped from the end, in words; "": nothing.
    const std::string& damage() const { return damage_; }

    Status begin_generation(const std::string& generation, const std::string& reason);
    Status begin_index(std::uint64_t index, ByteView wal_header);
    // A live replica's: what is here goes, and the store begins at `position`, in the middle of an index as a
    // rule, whose WAL begins with `wal_header` (empty where the offset is 0).
    Status begin_generation_at(const Position& position, ByteView wal_header, const std::string& reason);
    // A segment as another store made it, trailer and all; it continues what is here.
    Status store_received(const StagedBytes& segment, const Trailer& trailer);

    // One segment on its way. Disappears unless published.
    class Draft {
      public:
        Status write(ByteView frames) { return payload_->write(frames); }
        Status publish(Trailer trailer);  // the position moves, subscribers are told

      private:
        friend class SegmentStore;
        Draft(SegmentStore& store, TempFile file);
        SegmentStore& store_;
        std::unique_ptr<TempFile> file_;  // its address is in the payload's sink
        std::unique_ptr<PayloadWriter> payload_;
    };
    Result<Draft> draft_segment(std::uint64_t index, std::uint64_t start_offset);

    // Removes what every cursor has passed, oldest first, down to kLocalTailBytes, and, beyond the cap, also
    // what they have not; never the current or the previous index.
    void trim();

    // --- Any thread ---

    bool is_open() const;
    std::string generation() const;  // "" before the first
    std::string generation_reason() const;
    Position end() const;  // of the last commit stored; empty before the first generation
    std::uint64_t local_bytes() const;
    // Segments (not the header ones) that end behind `position`, in order, from one index, up to about
    // `limit_bytes` of WAL (at least one if there is any). The first one may begin before the position. First
    // the rest of the position's own index; nothing left there: the next index of its generation.
    std::vector<SegmentRef> segments_after(const Position& position, std::uint64_t limit_bytes) const;
    bool has_index_from_start(const std::string& generation, std::uint64_t index) const;
    std::uint64_t bytes_after(const Position& position) const;  // of WAL, up to end()
    std::vector<std::string> generations() const;  // known here, in order of birth, the current one last
    std::string file_of(const SegmentRef& segment) const;
    std::string header_file_of(const SegmentRef& segment) const;  // of the segment's index
    // Makes all segments up to now durable.
    Status sync();

    // Recorded durably before a replica gets anything up to `position`. After power loss the store may have
    // lost more than the replica: then promised() is behind end(), and the generation cannot go on.
    Status promise(const std::string& replica_name, const Position& position);
    Position promised() const;  // the furthest one in the current generation, as read at open(); or empty

    // Before the first segment goes to a live replica: from then on the replica may know commits that power
    // loss takes from here, which no promise tells since none is made for each commit. Durable; once a boot
    // and generation.
    Status note_streamed();
    // It was noted in an earlier boot, for the current generation.
    bool was_streamed_before_boot() const;

    // What keeps segments here: nothing behind a cursor is trimmed, up to the cap. An empty position keeps
    // everything.
    void set_cursor(const std::string& name, const Position& position);
    void release_cursor(const std::string& name);  // its promise stays
    void drop_cursor(const std::string& name);     // and its promise
    void set_cap(std::uint64_t bytes);             // instead of kLocalCapBytes

    // Somebody found that `generation` cannot go on, a local segment being damaged or gone that a replica
    // still lacks: if it is the current one, capture begins another at its next look, which `listener` (one,
    // set before there are threads) brings about.
    void request_generation(const std::string& generation, const std::string& reason) {
        {
            const std::lock_guard lock(mutex_);
            if (generation != generation_) return;
            requested_ = reason;
        }
        if (request_listener_) request_listener_();
    }
    std::optional<std::string> take_request() {
        const std::lock_guard lock(mutex_);
        return std::exchange(requested_, std::nullopt);
    }
    void set_request_listener(std::function<void()> listener) { request_listener_ = std::move(listener); }

    using Subscriber = std::function<void()>;
    int subscribe(Subscriber subscriber);
    void unsubscribe(int id);  // waits until it is not being called

  private:
    void drop_all();
    Status publish_file(const Trailer& trailer, std::uint64_t size_bytes);
    Status load_generation(const std::string& generation);
    Status load_index(const std::string& generation, std::uint64_t index);
    Status find_tail();
    Result<bool> is_another_programs(const std::string& last_file) const;
    Status load_promises(const std::string& generation);
    Status remove_leftovers(const std::string& directory);
    void publish(const SegmentRef& segment, const Trailer* trailer);
    // These two with mutex_ held.
    bool may_trim(const SegmentRef& oldest) const;
    bool is_passed_by_all(const SegmentRef& segment) const;
    Status open_position_file();
    Status write_position(const Position& start);
    Status make_folder(const std::string& relative);
    Status check_folder(const std::string& relative) const;
    std::string full(const std::string& relative) const { return join_path(path_, relative); }
    void remove_segment(const SegmentRef& segment);

    const std::string path_;
    unsigned file_mode_ = 0600;
    unsigned folder_mode_ = 0700;
    std::optional<Trailer> tail_;   // writers only
    bool tail_is_foreign_ = false;  // writers only
    std::string damage_;            // writers only
    File position_file_;            // writers only

    mutable std::mutex mutex_;
    // Guarded by mutex_:
    bool is_open_ = false;
    std::string generation_;
    std::string reason_;
    std::uint64_t generation_no_ = 0;
    std::vector<std::string> history_;  // generations in order of birth, the current one last
    Position end_;
    std::deque<SegmentRef> segments_;
    std::uint64_t local_bytes_ = 0;
    std::uint64_t cap_bytes_ = kLocalCapBytes;
    std::uint64_t first_no_ = 0;   // number of segments_.front(), counting from open()
    std::uint64_t synced_no_ = 0;  // segments below are durable
    Position promised_;
    std::optional<std::string> requested_;
    std::map<std::string, Position> cursors_;
    std::map<int, Subscriber> subscribers_;
    int next_subscriber_ = 1;

    std::function<void()> request_listener_;

    std::mutex notify_mutex_;  // held while subscribers are called, so that unsubscribe() can wait
};

}  // namespace litestream
