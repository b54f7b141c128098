// Restores from an object store, whose files come through several clients at a time.
#include <doctest/doctest.h>
#include <fcntl.h>

#include <random>
#include <thread>

#include "shared/format/path.h"
#include "shared/format/segment.h"
#include "shared/replica/restorer.h"
#include "tests/replica/fake_store.h"
#include "tests/replica/replica_files.h"
#include "tests/support/replica_builder.h"

namespace litestream {
namespace {

constexpr const char* kGeneration = "00000000000000a1";
constexpr std::size_t kPageSize = 4096;

struct Store : FakeStore {
    TempDirectory directory;
    std::unique_ptr<S3ReplicaClient> s3 = client(options());

    static S3Options options() {
        S3Options options;
        options.min_wait_ms = options.max_wait_ms = 1;
        return options;
    }
    std::string output() const { return directory.path("restored.db"); }
    Result<RestoreResult> restore(const RestoreOptions& options = {}) {
        return litestream::restore(*s3, output(), options);
    }
    bool has_leftovers() const { return !list_directory(directory.path("."))->empty(); }
};

// 12 MiB that lz4 cannot make smaller.
Bytes make_database() {
    Bytes database(12u << 20);
    std::mt19937_64 random(1);
    for (std::size_t i = 0; i < database.size(); i += 8) store_be64(&database[i], random());
    const ByteView magic = as_bytes(std::string_view("SQLite format 3\0", 16));
    std::copy(magic.begin(), magic.end(), database.begin());
    database[16] = kPageSize >> 8;
    database[17] = 0;
    return database;
}

// Its snapshot as the whole of a replica, in Litestream's own format.
struct LargeSnapshot : Store {
    static inline const Bytes database = make_database();
    const std::string name = snapshot_path(kGeneration, 0);

    LargeSnapshot() {
        static const std::string body = [] {
            Bytes bytes;
            PayloadWriter writer(append_to(bytes));
            REQUIRE(writer.write(database));
            REQUIRE(writer.finish(nullptr));
            return std::string(as_text(bytes));
        }();
        put("app/" + name, body);
    }
    std::string range(std::uint64_t first, std::uint64_t last) const {
        return name + " bytes=" + std::to_string(first) + "-" + std::to_string(last);
    }
    std::string second() const { return range(1u << 20, (5u << 20) - 1); }
};

// 100 segments behind a snapshot.
struct ManySegments : Store {
    ReplicaBuilder builder{*s3, kGeneration, kPageSize};

    ManySegments() {
        builder.publish_snapshot();
        for (std::uint8_t i = 1; i <= 100; ++i) {
            if (i % 30 == 0) builder.next_index();
            builder.commit({{1u + i % 7u, i}, {1, i}});
            builder.publish_segment();
        }
    }
    std::string last_key() const {
        std::string last;
        for (const auto& [key, object] : objects()) {
            if (key.find("/wal/") != std::string::npos) last = key;
        }
        return last;
    }
};

}  // namespace

TEST_CASE("a restore asks a store for each small file once; with one client alone, for its end as well") {
    ManySegments store;
    store.are_duplicates_offered = false;
    const auto alone = store.client(Store::options());

    REQUIRE(restore(*alone, store.output(), {}));
    CHECK(read_whole(store.output()) == store.builder.last().database);
    CHECK(alone->request_counts() ==
          RequestCounts{{"DELETE", 0}, {"GET", 202}, {"HEAD", 0}, {"LIST", 3}, {"PUT", 0}});
    REQUIRE(remove_file(store.output()));
    store.are_duplicates_offered = true;
    const auto several = store.client(Store::options());

    REQUIRE(restore(*several, store.output(), {}));
    CHECK(read_whole(store.output()) == store.builder.last().database);
    CHECK(several->request_counts() ==
          RequestCounts{{"DELETE", 0}, {"GET", 101}, {"HEAD", 0}, {"LIST", 3}, {"PUT", 0}});
}

TEST_CASE("every position restores to its bytes, one request at a time or eight") {
    ManySegments store;

    for (const unsigned parallelism : {1, 8}) {
        for (std::size_t i = 1; i < store.builder.states().size(); i += 9) {
            RestoreOptions options;
            options.position = store.builder.states()[i].position;
            options.parallelism = parallelism;
            REQUIRE(store.restore(options));
            CHECK(read_whole(store.output()) == store.builder.states()[i].database);
            REQUIRE(remove_file(store.output()));
        }
    }
}

TEST_CASE("a large snapshot comes in ranges and is the same in the end") {
    LargeSnapshot store;
    const RequestCounts before = store.s3->request_counts();
    RestoreCounts counts;
    RestoreOptions options;
    options.counts = &counts;

    REQUIRE(store.restore(options));

    CHECK(read_whole(store.output()) == store.database);
    CHECK(store.s3->request_counts().at("GET") - before.at("GET") == 1 + 4);  // its end first
    CHECK(counts.snapshots == 1);
    CHECK(counts.bytes == store.objects().at("app/" + store.name).body.size());
}

TEST_CASE("a restore writes before all is there") {
    LargeSnapshot store;
    const std::uint64_t size = store.objects().at("app/" + store.name).body.size();
    store.plan({store.range(9u << 20, size - 1), StoreFault::Kind::kHold});
    RestoreOptions options;
    options.on_progress = [&](std::uint64_t bytes) -> Status {
        if (bytes >= 8u << 20) store.release();
        return {};
    };

    REQUIRE(store.restore(options));

    CHECK(read_whole(store.output()) == store.database);
}

TEST_CASE("a restore goes on past cuts and a store that is busy") {
    LargeSnapshot store;
    StoreFault cut{store.second(), StoreFault::Kind::kCut};
    cut.bytes = 1'000'000;
    store.plan(cut);
    store.plan({store.range((1u << 20) + 1'000'000, (5u << 20) - 1), StoreFault::Kind::kReset});
    store.plan({"/snapshots/", StoreFault::Kind::kRefuse, 503, "SlowDown", {}, 0, 3, 2});

    REQUIRE(store.restore());

    CHECK(read_whole(store.output()) == store.database);
}

TEST_CASE("a snapshot that is replaced while it is restored is an error, and no file is left") {
    LargeSnapshot store;
    store.plan({store.second(), StoreFault::Kind::kHold});
    const int asked = store.count(store.name);
    std::thread replacer([&] {
        (void)store.wait_for_count(store.name, asked + 3);  // its end and two ranges
        std::string body = store.objects().at("app/" + store.name).body;
        body[body.size() / 2] ^= 1;
        store.put("app/" + store.name, body);
        store.release();
    });

    const auto result = store.restore();
    replacer.join();

    REQUIRE_FALSE(result);
    CHECK(result.error().message.find("was replaced while it was read") != std::string::npos);
    CHECK_FALSE(store.has_leftovers());
}

TEST_CASE("an error in the last segment leaves no file") {
    for (const bool is_damaged : {true, false}) {
        ManySegments store;
        const std::string key = store.last_key();
        std::string body = store.objects().at(key).body;
        body[body.size() / 3] ^= 1;
        if (is_damaged) store.put(key, body);
        if (!is_damaged) store.plan({key, StoreFault::Kind::kRefuse, 403, "AccessDenied"});

        const auto result = store.restore();

        REQUIRE_FALSE(result);
        CHECK(result.error().message.find(key.substr(4)) != std::string::npos);
        CHECK_FALSE(store.has_leftovers());
    }
}

TEST_CASE("cancel() ends a restore that hangs, wherever, and no file is left") {
    for (const char* place : {"list-type", "bytes=-", "bytes=0-", "bytes=5242880-"}) {
        LargeSnapshot store;
        store.plan({place, StoreFault::Kind::kHang});
        std::thread canceller([&] {
            (void)store.wait_for_hang();
            store.s3->cancel();
        });

        const auto result = store.restore();
        canceller.join();

        REQUIRE_FALSE(result);
        CHECK(result.error().code == ErrorCode::kInterrupt);
        CHECK_FALSE(store.has_leftovers());
    }
}

TEST_CASE("a restore that its progress stops waits for no store") {
    LargeSnapshot store;
    store.plan({"bytes=5242880-", StoreFault::Kind::kHang});
    RestoreOptions options;
    options.on_progress = [&](std::uint64_t) -> Status {
        if (!store.wait_for_hang()) return corrupt("nothing hangs");
        return Error{ErrorCode::kInterrupt, "interrupted"};
    };

    const auto result = store.restore(options);

    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::kInterrupt);
    CHECK_FALSE(store.has_leftovers());
}

}  // namespace litestream
