// FetchCrew: duplicates of a replica client, each with a thread of its own while there is work, so that a
// restore waits for the network at several places at once. Where one client alone is as fast (a directory)
// the crew has no hands, and the work is done with that client, on the caller's thread.
//
// A trailer is at the end of its file. A small file is read whole for it and kept, so that whoever reads the
// file next asks for nothing; what is kept is bounded.
//
// Thread-bound, except take_kept() and trailer(), which the hands call; work runs on the hands' threads.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "shared/replica/replica_client.h"

namespace litestream {

class FetchCrew {
  public:
    // `hands`: as in ReplicaClient::duplicates(). The client outlives the crew.
    FetchCrew(ReplicaClient& client, unsigned hands);
    explicit FetchCrew(ReplicaClient& client) : client_(client), keepable_(0) {}  // without hands
    ~FetchCrew();  // ends what its hands wait for
    FetchCrew(const FetchCrew&) = delete;
    FetchCrew& operator=(const FetchCrew&) = delete;

    ReplicaClient& client() { return client_; }
    std::size_t size() const { return hands_.size(); }

    // Calls `visit` for 0 to count - 1, in no order, and waits. The first error ends all of it, and the crew.
    using Visit = std::function<Status(ReplicaClient& client, std::size_t i)>;
    Status for_each(std::size_t count, const Visit& visit);

    // Every hand, but `most` at most, does `work`. Errors are the work's own to keep.
    using Work = std::function<void(ReplicaClient& client)>;
    Status start(std::size_t most, Work work);
    void join();
    // What the hands wait for, now or later, ends with kInterrupt.
    void cancel();

    // As ReplicaClient::trailer(), with one of the crew's clients, of a file that is listed with this size.
    Result<std::optional<Trailer>> trailer(ReplicaClient& client, const std::string& name,
                                           std::uint64_t size_bytes);
    std::optional<Bytes> take_kept(const std::string& name);

  private:
    bool reserve(std::uint64_t size_bytes);

    ReplicaClient& client_;
    const std::vector<std::unique_ptr<ReplicaClient>> hands_;
    Work work_;
    std::vector<std::thread> threads_;

    std::mutex mutex_;
    std::map<std::string, Bytes> kept_;  // guarded by mutex_
    std::uint64_t keepable_;             // guarded by mutex_: so much more may be kept
};

// What an exception becomes; within a handler.
Status caught();

// No exception of a library may end the host. Takes any callable: to wrap it might throw outside.
template <typename Work>
Status guarded(const Work& work) {
    try {
        return work();
    } catch (...) {
        return caught();
    }
}

}  // namespace litestream
