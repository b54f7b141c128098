// Damage to replicas of Litestream's own format is refused wherever that format can show it.
#include <doctest/doctest.h>

#include <optional>

#include "shared/base/text.h"
#include "shared/format/path.h"
#include "tests/replica/replica_files.h"
#include "tests/support/replica_builder.h"

namespace litestream {
namespace {

constexpr const char* kSample = "56c5be10fb222d63";
constexpr const char* kGeneration = "00000000000000c3";

struct Sample : ReplicaFiles {
    Sample() { copy_golden("e6f7c60-sample"); }

    Restored restore_without(const std::vector<std::string>& names) {
        for (const std::string& name : names) remove(name);
        Restored restored = restore();
        copy_golden("e6f7c60-sample");
        return restored;
    }
};

std::string segment(std::uint64_t index, std::uint64_t offset) {
    return segment_path(kSample, index, offset);
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

// A flipped bit of a match offset may give the same content, in a run of equal bytes.
TEST_CASE("a golden file with a flipped byte is refused by name") {
    for (const char* golden : {"e6f7c60-sample", "litestream-0.3.13"}) {
        ReplicaFiles files;
        files.copy_golden(golden);
        const Bytes expected = files.restore().database;
        for (const std::string& name : files.names()) {
            const Bytes whole = files.read(name);
            for (std::size_t part = 0; part < 8; ++part) {
                Bytes damaged = whole;
                damaged[(whole.size() - 1) * part / 7] ^= 0x10;
                files.write(name, damaged);
                const Restored restored = files.restore();
                INFO(name << " part " << part);
                if (restored.result) {
                    REQUIRE(restored.database == expected);
                    continue;
                }
                REQUIRE(restored.is_refused());
                CHECK(contains(restored.message(), files.url() + ": " + name));
            }
            files.write(name, whole);
        }
    }
}

TEST_CASE("a golden file that was cut is refused by name") {
    for (const char* golden : {"e6f7c60-sample", "litestream-0.3.13"}) {
        ReplicaFiles files;
        files.copy_golden(golden);
        for (const std::string& name : files.names()) {
            const Bytes whole = files.read(name);
            for (const std::size_t size : {std::size_t{0}, std::size_t{7}, whole.size() / 2, whole.size() - 8,
                                           whole.size() - 4, whole.size() - 1}) {
                files.write(name, ByteView(whole).first(size));
                const Restored restored = files.restore();
                INFO(name << " cut to " << size);
                REQUIRE(restored.is_refused());
                CHECK(contains(restored.message(), name));
            }
            files.write(name, whole);
        }
    }
}

TEST_CASE("bytes behind a golden file are refused") {
    Sample sample;
    Bytes longer = sample.read(segment(4, 0));
    longer.push_back(0);
    sample.write(segment(4, 0), longer);

    CHECK(sample.restore().is_refused());
}

TEST_CASE("the first, a middle or a whole index missing is refused, and the place is named") {
    Sample sample;

    const Restored first = sample.restore_without({segment(3, 0)});
    const Restored middle = sample.restore_without({segment(0, 0x70c8)});
    const Restored index = sample.restore_without({segment(4, 0)});
    const Restored start = sample.restore_without({segment(0, 0), segment(0, 0x70c8), segment(0, 0x80e0)});
    const Restored snapshot = sample.restore_without({snapshot_path(kSample, 0)});

    for (const Restored* restored : {&first, &middle, &index, &start, &snapshot}) {
        REQUIRE(restored->is_refused());
    }
    CHECK(contains(first.message(), Position{kSample, 3, 0}.to_string()));
    CHECK(contains(middle.message(), Position{kSample, 0, 0x70c8}.to_string()));
    CHECK(contains(index.message(), Position{kSample, 4, 0}.to_string()));
    CHECK(contains(start.message(), Position{kSample, 0, 0}.to_string()));
    CHECK(contains(snapshot.message(), "no snapshot"));
}

TEST_CASE("the last segment of an index missing shows in the change counter") {
    ReplicaFiles files;
    ReplicaBuilder builder(files.client(), kGeneration, 512, ReplicaBuilder::Trailers::kNo);
    builder.publish_snapshot();
    for (int i = 0; i < 3; ++i) {
        builder.commit({{1, 0}, {2, 7}});
        builder.publish_segment();
    }
    const Position lost = builder.states()[2].position;
    builder.next_index();
    builder.commit({{1, 0}});
    builder.publish_segment();
    files.remove(segment_path(kGeneration, 0, lost.offset));

    const Restored restored = files.restore();

    REQUIRE(restored.is_refused());
    CHECK(contains(restored.message(), segment_path(kGeneration, 1, 0) + ": "));
    CHECK(contains(restored.message(),
                   builder.position().to_string() + ": page 1's change counter goes from 3 to 5"));
}

TEST_CASE("what the format cannot show is left to the host's check") {
    ReplicaFiles files;
    files.copy_golden("litestream-0.3.13");
    files.remove("generations/6dd45e6b2e4963c6/wal/00000000_000ae058.wal.lz4");
    std::optional<bool> is_needed;
    RestoreOptions options;
    options.check = [&is_needed](const std::string&, bool needed) {
        is_needed = needed;
        return Status();
    };

    const Restored restored = files.restore(options);

    REQUIRE_MESSAGE(restored.result, restored.message());
    CHECK(is_needed == true);
    CHECK(contains(restored.note(), "could not be proven"));
}

TEST_CASE("a segment of another chain is refused") {
    Sample sample;
    ReplicaFiles other;
    other.copy_golden("litestream-e6f7c60");
    const Bytes spliced = other.read(segment_path("7e4f44d8803f830c", 0, 0x5098));

    for (const std::string& name : {segment(3, 0x80e0), segment(0, 0x70c8), segment(7, 0x1038)}) {
        const Bytes whole = sample.read(name);
        sample.write(name, spliced);
        const Restored restored = sample.restore();
        INFO(name);
        REQUIRE(restored.is_refused());
        CHECK(contains(restored.message(), name + ": offset 0x"));
        CHECK(contains(restored.message(), "salt does not match"));
        sample.write(name, whole);
    }
}

TEST_CASE("a snapshot that is no database is refused") {
    Sample sample;
    sample.write(snapshot_path(kSample, 0), sample.read(segment(0, 0)));

    const Restored restored = sample.restore();

    REQUIRE(restored.is_refused());
    CHECK(contains(restored.message(), snapshot_path(kSample, 0) + ": is no SQLite database"));
}

TEST_CASE("every commit behind the snapshot's index restores without trailers too") {
    ReplicaFiles files;
    ReplicaBuilder builder(files.client(), kGeneration, 512, ReplicaBuilder::Trailers::kNo);
    builder.publish_snapshot();
    for (std::uint8_t index = 0; index < 3; ++index) {
        builder.commit({{1, 0}, {2, index}});
        builder.publish_segment();
        builder.commit({{1, 0}, {static_cast<std::uint32_t>(3 + index), index}});
        builder.commit({{2, 99}});
        builder.publish_segment();
        if (index == 1) builder.publish_snapshot();
        builder.next_index();
    }

    for (const ReplicaBuilder::State& state : builder.states()) {
        const Restored restored = files.restore_position(state.position);
        INFO(state.position.to_string());
        const bool only_its_end = state.position.index == 0 && state.position != builder.states()[3].position;
        CHECK(restored.result.has_value() == !only_its_end);
        if (restored.result) CHECK(restored.database == state.database);
        if (only_its_end) CHECK(restored.is_refused());
    }
    CHECK(files.restore().database == builder.last().database);
}

TEST_CASE("one file with a trailer makes files without one damaged") {
    ReplicaFiles files;
    ReplicaBuilder without(files.client(), kGeneration, 512, ReplicaBuilder::Trailers::kNo);
    without.publish_snapshot();
    without.commit({{1, 1}});
    without.publish_segment();
    ReplicaFiles ours;
    ReplicaBuilder with(ours.client(), kGeneration, 512);
    with.publish_snapshot();
    files.write(snapshot_path(kGeneration, 0), ours.read(snapshot_path(kGeneration, 0)));

    const Restored restored = files.restore();

    REQUIRE(restored.is_refused());
    CHECK(contains(restored.message(), segment_path(kGeneration, 0, 0) + ": has no trailer"));
}

}  // namespace litestream
