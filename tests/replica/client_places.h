// The places that the suite of replica clients runs over: a directory, and a bucket of a store in memory.
// Each shows what is really there, and can hold what no client of ours put there. All names are below the
// replica's root. Thread-bound, as the clients are.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/replica/fake_store.h"
#include "tests/replica/replica_files.h"

// For TEST_CASE_TEMPLATE.
#define EACH_PLACE DirectoryPlace, BucketPlace

namespace litestream {

class DirectoryPlace {
  public:
    ReplicaClient& client() { return files_.client(); }
    std::unique_ptr<ReplicaClient> another() const { return *open_replica_client(*Url::parse(files_.url())); }

    // Everything that takes up room: what is half written too, each as one more entry.
    std::vector<std::string> names() const;
    void put(const std::string& name, const std::string& content);
    void lock(const std::string& name);  // nobody can remove it any more
    // What a publisher of `name` that died leaves.
    void leave_half(const std::string& name, std::int64_t begun_ms);

  private:
    ReplicaFiles files_;
};

class BucketPlace {
  public:
    BucketPlace();
    ReplicaClient& client() { return *client_; }
    std::unique_ptr<ReplicaClient> another();

    std::vector<std::string> names() const;
    void put(const std::string& name, const std::string& content);
    void lock(const std::string& name);
    void leave_half(const std::string& name, std::int64_t begun_ms);

  private:
    FakeStore store_;
    std::unique_ptr<ReplicaClient> client_;
};

// --- What the tests of the suite do with a client ---

Producer text(std::string content);
std::string letters(std::size_t size);  // "abc..."
// The rest of it, or the error as "error: ...".
std::string rest_of(Source& source);
std::string content_of(ReplicaClient& client, const std::string& name);

// Of an error, which there has to be and which has to say `part`.
template <typename Outcome>
ErrorCode code_of(const Outcome& outcome, const std::string& part) {
    REQUIRE_FALSE(outcome);
    const std::string& message = outcome.error().message;
    CHECK_MESSAGE(message.find(part) != std::string::npos, message);
    return outcome.error().code;
}

}  // namespace litestream
