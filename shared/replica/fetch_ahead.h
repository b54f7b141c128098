// FetchAhead: a list of files, read one after the other, front to back, by one reader, while the hands of a
// crew fetch what he will need: pieces of the files, in his order, within a window of bytes. A large file
// comes in many pieces at a time, all of the version that its first piece found; a small one is a piece.
//
//   files   [ snapshot ............................ ][ segment ][ segment ] ...
//   pieces  [1st][  2nd  ][  3rd  ][  4th  ][  5th  ][   6th   ][   7th   ]
//            read   here    at a hand ----------^        waiting: the window is full
//
// What goes wrong with a piece is told when the reader comes to it, and no later piece is begun. The window
// counts from when a piece is begun to when it has been read; the piece that the reader needs next is begun
// in any case.
//
// Thread-bound, but for the hands. Whoever destroys it early ends the crew.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "shared/replica/fetch_crew.h"

namespace litestream {

struct FetchSizes {
    std::size_t first = 1u << 20;  // the first piece of a file: the others wait for its version
    std::size_t piece = 4u << 20;
    std::uint64_t window = 0;  // 0: a piece for each hand
};

class FetchAhead {
  public:
    struct File {
        std::string name;
        std::uint64_t size_bytes = 0;  // as listed
    };

    // The crew has a hand or more.
    FetchAhead(FetchCrew& crew, std::vector<File> files, FetchSizes sizes = {});
    ~FetchAhead();
    FetchAhead(const FetchAhead&) = delete;
    FetchAhead& operator=(const FetchAhead&) = delete;

    Status start();
    // The next file, once the one before has been read. A source outlives nothing.
    Result<std::unique_ptr<Source>> open(const std::string& name);
    // The most bytes that the window ever held.
    std::uint64_t most_held() const;

  private:
    class Reader;
    struct Piece {
        std::size_t file = 0;
        std::uint64_t offset = 0;
        std::size_t size = 0;
        std::string version;
        bool is_done = false;
        Status status;
        Bytes bytes;
    };

    void work(ReplicaClient& client);
    Piece* next_piece();
    bool may_begin(std::size_t size) const;
    Piece* begin(std::size_t size);
    void fetch(ReplicaClient& client, Piece& piece);
    void finish(Piece& piece, FilePart part, Status status);
    Status check(const Piece& piece, const FilePart& part) const;
    Result<std::size_t> read(ByteSpan buffer);
    Status take_piece();

    FetchCrew& crew_;
    const std::vector<File> files_;
    const FetchSizes sizes_;

    // The reader's:
    std::size_t reading_ = 0;  // which file
    bool is_open_ = false;
    std::uint64_t read_bytes_ = 0;  // of that file
    Bytes bytes_;                   // the piece at hand
    std::size_t taken_ = 0;         // of them, read

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    // Guarded by mutex_:
    std::deque<std::unique_ptr<Piece>> pieces_;  // begun and not yet taken, in order
    std::size_t next_file_ = 0;                  // of which the next piece is begun
    std::uint64_t next_offset_ = 0;
    bool has_version_ = false;  // that file's first piece is done
    std::string version_;
    std::uint64_t held_bytes_ = 0;
    std::uint64_t most_held_ = 0;
    bool is_over_ = false;  // no new piece
    Status failure_;        // why, if no piece says it
};

}  // namespace litestream
