// A replica of ours that is damaged in any way is refused, or what is restored is right all the same.
#include <doctest/doctest.h>

#include "shared/base/text.h"
#include "shared/format/path.h"
#include "tests/replica/replica_files.h"
#include "tests/support/replica_builder.h"

namespace litestream {
namespace {

constexpr const char* kGeneration = "00000000000000a1";
constexpr const char* kOther = "00000000000000b2";

// Two indexes; in the second a snapshot, a merged segment and one of a single commit.
struct TinyReplica : ReplicaFiles {
    ReplicaBuilder builder;

    explicit TinyReplica(std::uint8_t fill = 1, const char* generation = kGeneration)
        : builder(client(), generation, 512) {
        builder.publish_snapshot();
        builder.commit({{1, fill}, {2, fill}});
        builder.next_index();
        builder.commit({{2, fill}});
        builder.publish_segment();
        builder.commit({{1, fill}});
        builder.publish_snapshot();
        builder.commit({{3, fill}});
        builder.publish_segment();
    }
    const Bytes& expected() const { return builder.last().database; }
};

// Refused, with nothing left; or the same database.
bool is_safe(const Restored& restored, const Bytes& expected) {
    return restored.result ? restored.database == expected && restored.leftovers.empty()
                           : restored.is_refused();
}

// Restores what needs the file `name`: the end of the first index, or the latest state.
bool is_safe(TinyReplica& replica, const std::string& name) {
    const ReplicaBuilder::State& early = replica.builder.states()[1];
    if (name.find(to_hex16(0)) == std::string::npos || name.find(to_hex16(1)) != std::string::npos) {
        return is_safe(replica.restore(), replica.expected());
    }
    return is_safe(replica.restore_position(early.position), early.database);
}

template <typename Damage>
void for_each_damage(TinyReplica& replica, const Damage& damage) {
    for (const std::string& name : replica.names()) {
        const Bytes whole = replica.read(name);
        damage(name, whole);
        replica.write(name, whole);
    }
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("the tiny replica is whole before it is damaged") {
    TinyReplica replica;

    CHECK(replica.names().size() == 6);
    CHECK(replica.restore().database == replica.expected());
    CHECK(replica.restore_position(replica.builder.states()[1].position).result.has_value());
}

TEST_CASE("no flipped byte is restored") {
    TinyReplica replica;
    for_each_damage(replica, [&replica](const std::string& name, const Bytes& whole) {
        for (std::size_t at = 0; at < whole.size(); ++at) {
            Bytes damaged = whole;
            damaged[at] ^= static_cast<std::uint8_t>(1u << (at % 8));
            replica.write(name, damaged);
            INFO(name << " byte " << at);
            REQUIRE(is_safe(replica, name));
        }
    });
}

TEST_CASE("no truncated file is restored") {
    TinyReplica replica;
    for_each_damage(replica, [&replica](const std::string& name, const Bytes& whole) {
        for (std::size_t size = 0; size < whole.size(); ++size) {
            replica.write(name, ByteView(whole).first(size));
            INFO(name << " cut to " << size);
            REQUIRE(is_safe(replica, name));
        }
    });
}

TEST_CASE("nothing may follow the trailer") {
    TinyReplica replica;
    for_each_damage(replica, [&replica](const std::string& name, const Bytes& whole) {
        Bytes longer = whole;
        longer.push_back(0);
        replica.write(name, longer);
        INFO(name);
        CHECK(is_safe(replica, name));
    });
}

TEST_CASE("a damaged file is named with the replica's URL") {
    TinyReplica replica;
    const std::string name = segment_path(kGeneration, 1, 0);
    Bytes damaged = replica.read(name);
    damaged[40] ^= 1;
    replica.write(name, damaged);

    const Restored restored = replica.restore();

    REQUIRE(restored.is_refused());
    CHECK(restored.result.error().code == ErrorCode::kCorrupt);
    CHECK(contains(restored.message(), replica.url() + ": " + name));
}

TEST_CASE("a removed segment is refused where it matters, and its place is named") {
    TinyReplica replica;
    const auto& states = replica.builder.states();
    const std::string first = segment_path(kGeneration, 0, 0);
    const std::string second = segment_path(kGeneration, 1, 0);
    const std::string third = segment_path(kGeneration, 1, states[2].position.offset);
    for (const std::string& name : {second, third}) {
        const Bytes whole = replica.read(name);
        replica.remove(name);

        const Restored restored = replica.restore();

        INFO(name);
        REQUIRE(restored.is_refused());
        CHECK(contains(restored.message(), "missing"));
        replica.write(name, whole);
    }
    replica.remove(first);
    CHECK(replica.restore().database == replica.expected());  // the newest snapshot does not need it
    CHECK(replica.restore_position(states[1].position).is_refused());
}

TEST_CASE("without its last segment a replica is what it was before that, if no snapshot knows better") {
    TinyReplica replica;
    const auto& states = replica.builder.states();
    replica.remove(segment_path(kGeneration, 1, states[3].position.offset));
    CHECK(replica.restore().database == states[3].database);

    replica.remove(segment_path(kGeneration, 1, states[2].position.offset));
    const Restored restored = replica.restore();

    REQUIRE(restored.is_refused());
    CHECK(contains(restored.message(), "was taken at " + states[3].position.to_string()));
    CHECK(contains(restored.message(), "the segments end at " + states[2].position.to_string()));
}

TEST_CASE("the end of an index is proven by the index behind it") {
    ReplicaFiles files;
    ReplicaBuilder builder(files.client(), kGeneration, 512);
    builder.publish_snapshot();
    for (int i = 0; i < 3; ++i) {
        builder.commit({{1, 1}});
        builder.publish_segment();
    }
    const Position end = builder.states()[2].position;
    builder.next_index();
    builder.commit({{1, 2}});
    builder.publish_segment();
    files.remove(segment_path(kGeneration, 0, end.offset));

    const Restored latest = files.restore();
    const Restored index = files.restore_index(0);

    REQUIRE(latest.is_refused());
    REQUIRE(index.is_refused());
    CHECK(contains(latest.message(), "the last segment there ends at " + end.to_string()));
    CHECK(contains(index.message(), "a segment is missing or was replaced"));
    CHECK(files.restore_position(end).database == builder.states()[2].database);
}

TEST_CASE("a whole missing index is refused") {
    ReplicaFiles files;
    ReplicaBuilder builder(files.client(), kGeneration, 512);
    builder.publish_snapshot();
    for (int i = 0; i < 3; ++i) {
        builder.commit({{1, 1}});
        builder.next_index();
    }
    const Bytes first = files.read(segment_path(kGeneration, 0, 0));
    files.remove(segment_path(kGeneration, 1, 0));
    CHECK(files.restore().is_refused());
    CHECK(files.restore_index(1).is_refused());

    files.remove(segment_path(kGeneration, 0, 0));
    CHECK(files.restore().is_refused());
    CHECK(files.restore_index(0).is_refused());
    CHECK(files.restore_position({kGeneration, 0, 0}).is_refused());
}

TEST_CASE("a snapshot that is removed is replaced by an older one and the segments") {
    TinyReplica replica;
    replica.remove(snapshot_path(kGeneration, 1));
    CHECK(replica.restore().database == replica.expected());

    replica.remove(snapshot_path(kGeneration, 0));
    const Restored restored = replica.restore();

    REQUIRE(restored.is_refused());
    CHECK(contains(restored.message(), "no snapshot"));
}

TEST_CASE("a file of another generation is refused") {
    TinyReplica replica;
    TinyReplica other(2, kOther);
    for_each_damage(replica, [&](const std::string& name, const Bytes&) {
        std::string other_name = name;
        other_name.replace(other_name.find(kGeneration), 16, kOther);
        replica.write(name, other.read(other_name));
        INFO(name);
        CHECK(is_safe(replica, name));
        CHECK((replica.restore().is_refused() || replica.restore_index(0).is_refused()));
    });
}

TEST_CASE("a file of a fork of the same generation does not get into the latest state") {
    TinyReplica replica;
    TinyReplica fork(2);
    for_each_damage(replica, [&](const std::string& name, const Bytes&) {
        replica.write(name, fork.read(name));
        INFO(name);
        CHECK(is_safe(replica.restore(), replica.expected()));
    });
    const std::string snapshot = snapshot_path(kGeneration, 1);
    replica.remove(snapshot);
    const std::string before = segment_path(kGeneration, 0, 0);
    replica.write(before, fork.read(before));

    const Restored restored = replica.restore();

    REQUIRE(restored.is_refused());
    CHECK(contains(restored.message(), "a segment is missing or was replaced"));
}

TEST_CASE("files that changed their places are refused") {
    TinyReplica replica;
    for_each_damage(replica, [&replica](const std::string& name, const Bytes& whole) {
        for (const std::string& other_name : replica.names()) {
            const Bytes other = replica.read(other_name);
            replica.write(name, other);
            replica.write(other_name, whole);
            INFO(name << " and " << other_name);
            CHECK(is_safe(replica, name));
            replica.write(other_name, other);
        }
    });
}

}  // namespace litestream
