// Replica: a feed with its own store in front of a database that is plain bytes, and what tests ask of it.
// Thread-bound.
#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "shared/store/replica_feed.h"
#include "tests/support/fake_target.h"
#include "tests/support/temp_directory.h"
#include "tests/support/wal_maker.h"

namespace litestream {

inline const std::string kGeneration = "00000000000000aa";
constexpr std::uint64_t kCommit = 2 * (kFrameHeaderSize + 512);  // bytes of WAL

struct Replica {
    TempDirectory directory;
    SegmentStore store{directory.path("app.db")};
    FakeTarget target;
    std::unique_ptr<ReplicaFeed> feed;

    Replica() { open(); }
    void open() {
        feed.reset();
        REQUIRE(store.open(0600));
        feed = std::make_unique<ReplicaFeed>(store, target);
        REQUIRE(feed->open());
    }
    Status snapshot(const Bytes& payload, const Bytes& header) {
        MemorySource source(payload);
        return feed->take_snapshot(source, header);
    }
    Status take(const WalMaker::Segment& segment, const std::string& generation = kGeneration) {
        MemorySource source(segment.payload);
        return feed->take_segment(generation, segment.index, segment.start, source, 77);
    }
    Position at() const { return feed->state().position; }
    bool shows(const WalMaker& wal) const {
        return at() == wal.end() && target.shown.position == wal.end() && target.database == wal.database();
    }
    std::vector<std::uint64_t> starts_after(const Position& position) const {
        std::vector<std::uint64_t> starts;
        for (const SegmentRef& segment : store.segments_after(position, 1u << 30)) {
            starts.push_back(segment.start);
        }
        return starts;
    }
    // The stored file, as received or made here.
    Bytes stored(const Position& position) const {
        const auto found = store.segments_after(position, 1);
        REQUIRE(!found.empty());
        return *read_file(store.file_of(found.front()), 1u << 30);
    }
    std::size_t files() const {
        using std::filesystem::recursive_directory_iterator;
        return static_cast<std::size_t>(std::distance(recursive_directory_iterator(store.path()), {}));
    }
};

// A replica that has the first snapshot, of before any commit.
struct Followed : Replica {
    WalMaker wal{kGeneration};

    Followed() { REQUIRE(snapshot(wal.snapshot(), {})); }
};

inline std::string message(const Status& status) { return status ? "" : status.error().message; }
inline bool contains(const Status& status, const std::string& part) {
    return message(status).find(part) != std::string::npos;
}
inline bool is_corrupt(const Status& status) { return !status && status.error().code == ErrorCode::kCorrupt; }

}  // namespace litestream
