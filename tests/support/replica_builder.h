// ReplicaBuilder: writes replicas as a primary would, from transactions given as lists of pages, and
// remembers what the database was after each commit. With trailers (ours) or without (Litestream's).
//
// Thread-bound. A failure to write ends the test program.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shared/format/trailer.h"
#include "shared/format/wal.h"
#include "shared/replica/replica_client.h"

namespace litestream {

class ReplicaBuilder {
  public:
    enum class Trailers : std::uint8_t { kYes, kNo };

    struct Write {
        std::uint32_t page_no = 0;
        std::uint8_t fill = 0;
    };
    // The database behind a commit.
    struct State {
        Position position;
        std::int64_t time_ms = 0;
        Bytes database;
    };

    // Begins with a database of one page, in index 0.
    ReplicaBuilder(ReplicaClient& client, std::string generation, std::uint32_t page_size,
                   Trailers trailers = Trailers::kYes, std::string predecessor = {});

    // A transaction. `pages`: the size of the database after it; 0: as large as it is or as the writes make
    // it. Its time is one second after the one before.
    void commit(const std::vector<Write>& writes, std::uint32_t pages = 0);
    // What was committed since the last call becomes one segment. Nothing: no segment.
    void publish_segment();
    // Publishes what is pending, then a snapshot of the last commit, half a second after it.
    // `checksum` kUnknown: its trailer does not say which one the chain had there.
    enum class Checksum : std::uint8_t { kKnown, kUnknown };
    void publish_snapshot(Checksum checksum = Checksum::kKnown);
    // Publishes what is pending; the next commit begins a new WAL.
    void next_index();

    const std::vector<State>& states() const { return states_; }  // the first is the one before any commit
    const State& last() const { return states_.back(); }
    Position position() const { return last().position; }

  private:
    Bytes page(const Write& write) const;
    void begin_wal();
    void add_frame(const Write& write, std::uint32_t commit_pages);
    Bytes truncated(std::uint32_t pages) const;
    Trailer make_trailer(Trailer::Kind kind) const;
    void publish(const std::string& name, ByteView content, Trailer trailer);

    ReplicaClient& client_;
    const std::string generation_;
    const std::string predecessor_;
    const Trailers trailers_;
    std::vector<State> states_;

    WalHeader header_;
    bool has_wal_ = false;
    std::uint64_t index_ = 0;
    std::uint64_t end_offset_ = 0;
    WalChecksum checksum_;
    std::uint64_t previous_end_ = 0;
    WalChecksum previous_checksum_;
    std::uint32_t page_count_ = 1;
    std::uint32_t change_counter_ = 1;

    Bytes file_;     // the database file if every frame were copied into it at once
    Bytes pending_;  // WAL bytes that are in no segment yet
    std::uint64_t pending_start_ = 0;
    std::vector<Commit> pending_commits_;
};

}  // namespace litestream
