#include "shared/replica/owner.h"

#include <doctest/doctest.h>

#include "shared/format/path.h"
#include "tests/replica/primary.h"
#include "tests/support/replica_builder.h"

namespace litestream {
namespace {

constexpr std::int64_t kNowMs = 1'800'000'000'000;
constexpr const char* kGeneration = "00000000000000a1";
const Owner kFirst{"id-1", "/data/first.db", "machine-1"};
const Owner kSecond{"id-2", "/data/second.db", "machine-2"};

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::string claimed(ReplicaClient& client, const Owner& owner, bool adopt = false) {
    const auto refusal = claim(client, owner, kGeneration, adopt, kNowMs);
    REQUIRE_MESSAGE(refusal, refusal.error().message);
    return *refusal;
}

std::string damage_of(ReplicaClient& client) {
    const auto refusal = claim(client, kFirst, kGeneration, false, kNowMs);
    REQUIRE_FALSE(refusal);
    CHECK(refusal.error().code == ErrorCode::kCorrupt);
    return refusal.error().message;
}

void add_data(ReplicaFiles& files, const std::string& generation) {
    ReplicaBuilder builder(files.client(), generation, 512);
    builder.commit({{1, 1}});
    builder.publish_snapshot();
}

}  // namespace

TEST_CASE("the first owner writes the record, and it is the owner again later") {
    ReplicaFiles files;

    CHECK(claimed(files.client(), kFirst).empty());
    CHECK(claimed(files.client(), kFirst).empty());

    const auto record = read_owner(files.client());
    REQUIRE(record);
    REQUIRE(*record);
    CHECK((*record)->owner.id == "id-1");
    CHECK((*record)->created_ms == kNowMs);
    CHECK(files.client().generations()->empty());
}

TEST_CASE("another owner is refused with the first one's path and machine and the way out") {
    ReplicaFiles files;
    REQUIRE(claimed(files.client(), kFirst).empty());

    const std::string refusal = claimed(files.client(), kSecond);

    CHECK(contains(refusal, files.url()));
    for (const char* part : {"/data/first.db", "machine-1", "{\"adopt\":true}"}) {
        CHECK(contains(refusal, part));
    }
}

TEST_CASE("with adopt the record is replaced") {
    ReplicaFiles files;
    REQUIRE(claimed(files.client(), kFirst).empty());

    CHECK(claimed(files.client(), kSecond, true).empty());

    CHECK(contains(claimed(files.client(), kFirst), "/data/second.db"));
    CHECK(files.names() == std::vector<std::string>{kOwnerName});
}

TEST_CASE("of two that start at once one finds the record of the other") {
    ReplicaFiles files;
    bool raced = false;
    WatchedClient late(files.client(), [&](const std::string& what, const std::string&) {
        if (what == "publish" && !raced) {
            raced = true;
            CHECK(claimed(files.client(), kFirst).empty());
        }
        return Status();
    });

    CHECK(contains(claimed(late, kSecond), "/data/first.db"));
    CHECK(raced);
}

TEST_CASE("data without a record is taken over only if the newest of it is the database's own") {
    ReplicaFiles ours;
    add_data(ours, kGeneration);
    CHECK(claimed(ours.client(), kFirst).empty());

    ReplicaFiles foreign;
    add_data(foreign, "00000000000000ff");
    CHECK(contains(claimed(foreign.client(), kFirst), "generation 00000000000000ff"));
    CHECK_FALSE(file_exists(join_path(foreign.root(), kOwnerName)));
    CHECK(claimed(foreign.client(), kFirst, true).empty());

    ReplicaFiles newer;
    add_data(newer, kGeneration);
    add_data(newer, "00000000000000ff");
    for (const std::string& name : newer.names()) {
        newer.set_time(name, contains(name, kGeneration) ? kNowMs - 5000 : kNowMs);
    }
    CHECK_FALSE(claimed(newer.client(), kFirst).empty());
}

TEST_CASE("a damaged record is nobody's to overwrite without adopt") {
    for (const char* text : {"", "{", "[]", "{\"database\":\"/x\"}", "{\"id\":7}"}) {
        CAPTURE(text);
        ReplicaFiles files;
        REQUIRE(make_directories(files.root(), 0700));
        files.write(kOwnerName, as_bytes(text));

        CHECK(contains(damage_of(files.client()), kOwnerName));
        CHECK(contains(damage_of(files.client()), "{\"adopt\":true}"));
        CHECK(claimed(files.client(), kFirst, true).empty());
        CHECK(claimed(files.client(), kFirst).empty());
    }
}

TEST_CASE("a record that is too long is not read to its end") {
    ReplicaFiles files;
    REQUIRE(make_directories(files.root(), 0700));
    files.write(kOwnerName, Bytes(1u << 20, ' '));

    CHECK(contains(damage_of(files.client()), "too long"));
}

TEST_CASE("nothing is known while the storage fails") {
    ReplicaFiles files;
    WatchedClient broken(files.client(), [](const std::string&, const std::string&) {
        return Status(Error{ErrorCode::kIo, "no route"});
    });

    CHECK_FALSE(claim(broken, kFirst, kGeneration, true, kNowMs));
    CHECK(claimed(broken, {}).empty());
}

}  // namespace litestream
