// ReplicaClient: the door to a replica's storage. A client lists, reads, publishes and removes whole files in
// Litestream's layout (shared/format/path.h) and decides nothing.
//
// A client must publish atomically and durably (all of the file or nothing of it, also after power loss),
// never replace a file that is there (kExists), and name the object in every error. It may be slow. It must
// not retry for ever, and needs no thread of its own.
//
// Thread-bound: one thread at a time uses one client and the sources that it opened; url(), cancel(),
// request_counts() and fence_note() may be called by any thread meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/bytes.h"
#include "shared/base/stream.h"
#include "shared/base/url.h"
#include "shared/format/trailer.h"

namespace litestream {

struct SnapshotInfo {
    std::string generation;
    std::uint64_t index = 0;
    std::uint64_t size_bytes = 0;  // as stored
    std::int64_t created_ms = 0;   // time of the file or object
    std::string name;              // below the replica's root; for open() and messages
};

struct SegmentInfo {
    std::string generation;
    std::uint64_t index = 0;
    std::uint64_t offset = 0;
    std::uint64_t size_bytes = 0;
    std::int64_t created_ms = 0;
    std::string name;
};

// The order in which clients list.
void sort_files(std::vector<SnapshotInfo>& infos);
void sort_files(std::vector<SegmentInfo>& infos);
// What begins before it.
void drop_before(const Position& first, std::vector<SegmentInfo>& infos);

// What is older than this and unfinished has no publisher any more.
constexpr std::int64_t kRemnantAgeMs = std::int64_t{24} * 3600 * 1000;

using RequestCounts = std::map<std::string, std::uint64_t>;
void add_counts(RequestCounts& to, const RequestCounts& counts);

// A part of a file, and what it is a part of.
struct FilePart {
    Bytes bytes;
    std::uint64_t file_size = 0;
    std::string version;  // equal versions: the same bytes; "": the store has none
};

// Requests at a time where nobody says how many.
constexpr unsigned kUsualParallelism = 8;
constexpr unsigned kMaxParallelism = 64;

// Writes the file's bytes to the sink; an error abandons the file.
using Producer = std::function<Status(const Sink&)>;

// Many files, of which some refuse: the first error and how many there were.
class FirstError {
  public:
    void see(const Status& status) {
        if (!status && count_++ == 0) first_ = status;
    }
    Status status() const;  // "FIRST, and 3 more"

  private:
    Status first_;
    std::size_t count_ = 0;
};

class ReplicaClient {
  public:
    virtual ~ReplicaClient() = default;

    virtual std::string url() const = 0;  // without secrets, for messages

    // Sorted. A replica that does not exist yet is an empty list; names that are not ours are skipped.
    virtual Result<std::vector<std::string>> generations() = 0;
    virtual Result<std::vector<SnapshotInfo>> snapshots(const std::string& generation) = 0;  // by index
    virtual Result<std::vector<SegmentInfo>> segments(const std::string& generation) = 0;  // by index, offset
    // Those of the generation of `first` that begin there or behind it; a store need not list the others.
    virtual Result<std::vector<SegmentInfo>> segments_from(const Position& first);

    virtual Result<std::unique_ptr<Source>> open(const std::string& name) = 0;
    // From the end of the file only; nullopt: none there. Not yet verified against the content.
    virtual Result<std::optional<Trailer>> trailer(const std::string& name) = 0;
    // `size` bytes from `offset` on; fewer only where the file ends, more only where a store cannot cut: then
    // all of the file from `offset` on. `version` not empty: of that version, or kIo.
    virtual Result<FilePart> read_part(const std::string& name, std::uint64_t offset, std::size_t size,
                                       const std::string& version);
    // Clients of the same store for as many other threads, to read with; 0: as many as the URL says, or as is
    // usual. None: one client alone is as fast. This one's cancel() and request_counts() mean them as well.
    virtual std::vector<std::unique_ptr<ReplicaClient>> duplicates(unsigned /*wanted*/) { return {}; }

    // Creates `name` (and its folders). kExists if it is there already.
    virtual Status publish(const std::string& name, const Producer& producer) = 0;
    // As publish(), but in the place of a file that may be there: readers see the old one or the new one. For
    // the owner record only; everything else in a replica is written once.
    virtual Status replace(const std::string& name, const Producer& producer) = 0;

    // What a listing shows of a generation up to `end` survives power loss from here on: a publisher that
    // died, or had an error, may have left names that nothing was done for yet. An object in a store does so.
    virtual Status settle(const Position& /*end*/) { return {}; }

    // One that is not there is no error.
    virtual Status remove(const std::string& name) = 0;
    // Goes on behind one that cannot be removed; the error names the first such and says how many there are.
    // After power loss no snapshot comes back whose segments may be removed next.
    virtual Status remove_all(const std::vector<std::string>& names);
    // What is no part of a generation but in its place: empty folders, and what a publisher that died left a
    // day ago or longer. What is not ours by name stays, and its folder with it.
    virtual Status remove_remains(const std::string& generation) = 0;

    // Ends the call at hand and all later ones with kInterrupt, where they could wait for long.
    virtual void cancel() {}
    // What a store bills, by kind: PUT, GET, LIST, DELETE, HEAD. Empty: nobody bills.
    virtual RequestCounts request_counts() const { return {}; }
    // Why two writers at once would not be kept apart; "": they are, or nobody knows yet.
    virtual std::string fence_note() const { return {}; }
};

// The client for a URL's scheme; kInput names unknown schemes and keys and what is accepted.
// Touches no storage yet. `mode`: of the files to create; folders get it with x where r is set.
Result<std::unique_ptr<ReplicaClient>> open_replica_client(const Url& url, unsigned mode = 0600);

}  // namespace litestream
