#include "shared/replica/restorer.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/replica/replica_files.h"
#include "tests/support/replica_builder.h"

namespace litestream {
namespace {

constexpr const char* kGeneration = "00000000000000a1";

struct SmallReplica : ReplicaFiles {
    ReplicaBuilder builder{client(), kGeneration, 512};

    SmallReplica() {
        builder.publish_snapshot();
        builder.commit({{1, 1}, {2, 1}});
        builder.publish_segment();
    }
};

// A replica whose files are removed between listing and reading.
class VanishingClient final : public ReplicaClient {
  public:
    explicit VanishingClient(ReplicaClient& client) : client_(client) {}
    std::string url() const override { return client_.url(); }
    Result<std::vector<std::string>> generations() override { return client_.generations(); }
    Result<std::vector<SnapshotInfo>> snapshots(const std::string& name) override {
        return client_.snapshots(name);
    }
    Result<std::vector<SegmentInfo>> segments(const std::string& name) override {
        return client_.segments(name);
    }
    Result<std::optional<Trailer>> trailer(const std::string& name) override { return client_.trailer(name); }
    Result<std::unique_ptr<Source>> open(const std::string& name) override {
        return client_.open(name + ".gone");
    }
    Status publish(const std::string&, const Producer&) override { return bad_input("read only"); }
    Status replace(const std::string&, const Producer&) override { return bad_input("read only"); }
    Status remove(const std::string&) override { return bad_input("read only"); }
    Status remove_remains(const std::string&) override { return bad_input("read only"); }

  private:
    ReplicaClient& client_;
};

void touch(const std::string& path) { REQUIRE(File::open(path, O_CREAT | O_WRONLY)); }

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("the restored database appears with mode 0600 and nothing beside it") {
    SmallReplica replica;
    const mode_t umask_before = ::umask(0);

    const auto result = restore(replica.client(), replica.output(), {});
    ::umask(umask_before);

    REQUIRE(result);
    CHECK(result->position == replica.builder.position());
    CHECK(result->note.empty());
    struct stat status = {};
    REQUIRE(::stat(replica.output().c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
    CHECK(list_directory(parent_directory(replica.output()))->size() == 1);
}

TEST_CASE("an existing file is not replaced") {
    SmallReplica replica;
    touch(replica.output());

    const auto result = restore(replica.client(), replica.output(), {});

    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::kExists);
    CHECK(contains(result.error().message, "already exists; choose another path or remove it"));
    CHECK(read_whole(replica.output()).empty());
}

TEST_CASE("a database that appears while the restore runs is not replaced") {
    SmallReplica replica;
    RestoreOptions options;
    options.check = [&replica](const std::string&, bool needed) {
        CHECK_FALSE(needed);
        touch(replica.output());
        return Status();
    };

    const auto result = restore(replica.client(), replica.output(), options);

    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::kExists);
    CHECK(list_directory(parent_directory(replica.output()))->size() == 1);
}

TEST_CASE("leftovers of another database beside the output are refused") {
    for (const char* suffix : {"-wal", "-shm", "-journal"}) {
        SmallReplica replica;
        touch(replica.output() + suffix);

        const auto result = restore(replica.client(), replica.output(), {});

        REQUIRE_FALSE(result);
        CHECK(result.error().code == ErrorCode::kCantOpen);
        CHECK(contains(result.error().message, replica.output() + suffix));
        CHECK_FALSE(file_exists(replica.output()));
    }
}

TEST_CASE("a missing directory is named") {
    SmallReplica replica;

    const auto result = restore(replica.client(), replica.output() + "/none/restored.db", {});

    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::kCantOpen);
    CHECK(contains(result.error().message, replica.output() + "/none does not exist"));
}

TEST_CASE("an empty replica has nothing to restore") {
    ReplicaFiles files;

    const Restored restored = files.restore();

    REQUIRE(restored.is_refused());
    CHECK(restored.result.error().code == ErrorCode::kNotFound);
    CHECK(contains(restored.message(), files.url()));
}

TEST_CASE("a file that vanishes is not mistaken for an empty replica") {
    SmallReplica replica;
    VanishingClient client(replica.client());

    const auto result = restore(client, replica.output(), {});

    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::kIo);
    CHECK(contains(result.error().message, "No such file"));
}

TEST_CASE("targets exclude each other and must make sense") {
    SmallReplica replica;
    RestoreOptions both;
    both.index = 0;
    both.timestamp_ms = 0;
    RestoreOptions wrong_name;
    wrong_name.generation = "latest";
    RestoreOptions two_generations;
    two_generations.position = replica.builder.position();
    two_generations.generation = "00000000000000b2";
    RestoreOptions no_generation;
    no_generation.position = Position{};

    for (const RestoreOptions& options : {both, wrong_name, two_generations, no_generation}) {
        const Restored restored = replica.restore(options);
        REQUIRE(restored.is_refused());
        CHECK(restored.result.error().code == ErrorCode::kInput);
    }
}

TEST_CASE("progress is told at least every 64 MiB, and its error stops the restore") {
    ReplicaFiles files;
    ReplicaBuilder builder(files.client(), kGeneration, 65536);
    for (std::uint32_t page_no = 1; page_no <= 64; ++page_no) builder.commit({{page_no, 7}});
    builder.publish_snapshot();
    RestoreOptions options;
    std::vector<std::uint64_t> told;
    options.on_progress = [&told](std::uint64_t bytes) -> Status {
        told.push_back(bytes);
        if (told.size() == 3) return Error{ErrorCode::kInterrupt, "interrupted"};
        return {};
    };

    const Restored stopped = files.restore(options);
    const Restored whole = files.restore(options);

    REQUIRE(stopped.is_refused());
    CHECK(stopped.result.error().code == ErrorCode::kInterrupt);
    REQUIRE(whole.result);
    REQUIRE(told.size() > 3);
    CHECK(told.back() > (7u << 20));
}

TEST_CASE("a successor without a snapshot is not passed over silently") {
    SmallReplica replica;
    ReplicaBuilder successor(replica.client(), "00000000000000b2", 512, ReplicaBuilder::Trailers::kYes,
                             kGeneration);
    successor.commit({{1, 9}});
    successor.publish_segment();
    RestoreOptions older;
    older.generation = kGeneration;

    const Restored latest = replica.restore();
    const Restored chosen = replica.restore(older);

    REQUIRE(latest.is_refused());
    CHECK(contains(latest.message(), "00000000000000b2"));
    CHECK(contains(latest.message(), "no snapshot yet"));
    CHECK(chosen.database == replica.builder.last().database);
}

TEST_CASE("a position is looked for in its own generation") {
    SmallReplica replica;
    ReplicaBuilder successor(replica.client(), "00000000000000b2", 512, ReplicaBuilder::Trailers::kYes,
                             kGeneration);
    successor.commit({{1, 9}});
    successor.publish_snapshot();

    const Restored old = replica.restore_position(replica.builder.position());
    const Restored latest = replica.restore();

    CHECK(old.database == replica.builder.last().database);
    CHECK(latest.database == successor.last().database);
    CHECK(latest.position() == successor.position());
}

}  // namespace litestream
