// What shared/replica/replica_client.h promises, sentence by sentence, over every client: publishing,
// removing, and what a replicator and restore() make of it.
#include "shared/base/clock.h"
#include "shared/format/path.h"
#include "tests/replica/client_places.h"
#include "tests/replica/primary.h"

namespace litestream {
namespace {

constexpr const char* kGeneration = "0123456789abcdef";
constexpr std::int64_t kDayMs = std::int64_t{24} * 3600 * 1000;
constexpr int kTimeoutMs = 30'000;

using Names = std::vector<std::string>;

}  // namespace

// --- Publishing ---

TEST_CASE_TEMPLATE("publishing never replaces a file, whoever published it", Place, EACH_PLACE) {
    for (const std::size_t size : {5, 500}) {
        CAPTURE(size);
        Place place;
        const std::string name = snapshot_path(kGeneration, 0);
        REQUIRE(place.client().publish(name, text("first")));

        CHECK(code_of(place.client().publish(name, text(letters(size))), name) == ErrorCode::kExists);
        CHECK(code_of(place.another()->publish(name, text(letters(size))), name) == ErrorCode::kExists);

        CHECK(content_of(place.client(), name) == "first");
        CHECK(place.names() == Names{name});
    }
}

TEST_CASE_TEMPLATE("of two that publish one name at once one is refused, and the other's is whole", Place,
                   EACH_PLACE) {
    for (const std::size_t size : {5, 500}) {
        CAPTURE(size);
        Place place;
        const auto other = place.another();
        Status inner;

        const Status outer = place.client().publish("owner", [&](const Sink& sink) -> Status {
            LITESTREAM_TRY(sink(as_bytes(letters(size))));
            inner = other->publish("owner", text("the other's"));
            return sink(as_bytes(letters(size)));
        });

        CHECK(inner);
        CHECK(code_of(outer, "owner") == ErrorCode::kExists);
        CHECK(content_of(place.client(), "owner") == "the other's");
        CHECK(place.names() == Names{"owner"});
    }
}

TEST_CASE_TEMPLATE("nothing shows before all of it is there", Place, EACH_PLACE) {
    Place place;
    const auto reader = place.another();
    const std::string name = segment_path(kGeneration, 0, 0);
    std::size_t seen = 0;

    const Status published = place.client().publish(name, [&](const Sink& sink) -> Status {
        for (int i = 0; i < 10; ++i) {
            LITESTREAM_TRY(sink(as_bytes(letters(50))));
            seen += reader->segments(kGeneration)->size() + (reader->open(name) ? 1 : 0);
        }
        return {};
    });

    REQUIRE(published);
    CHECK(seen == 0);
    CHECK(reader->segments(kGeneration)->size() == 1);
}

TEST_CASE_TEMPLATE("a producer that fails leaves nothing behind, and its error names the file", Place,
                   EACH_PLACE) {
    for (const std::size_t size : {5, 500}) {
        CAPTURE(size);
        Place place;
        const std::string name = segment_path(kGeneration, 0, 0);
        const Producer broken = [&](const Sink& sink) -> Status {
            LITESTREAM_TRY(sink(as_bytes(letters(size))));
            return corrupt("the source broke off");
        };

        CHECK(code_of(place.client().publish(name, broken), name + ": the source broke off") ==
              ErrorCode::kCorrupt);

        CHECK(place.names().empty());
    }
}

TEST_CASE_TEMPLATE("whoever reads while a file is replaced sees the old one or the new one", Place,
                   EACH_PLACE) {
    for (const std::size_t size : {5, 500}) {
        CAPTURE(size);
        Place place;
        const auto reader = place.another();
        REQUIRE(place.client().replace("owner", text(letters(size))));
        const auto source = reader->open("owner");
        REQUIRE(source);

        const Status replaced = place.client().replace("owner", [&](const Sink& sink) -> Status {
            CHECK(content_of(*reader, "owner") == letters(size));
            return sink(as_bytes(std::string(size, 'z')));
        });
        const std::string begun_before = rest_of(**source);

        REQUIRE(replaced);
        CHECK((begun_before == letters(size) || begun_before.starts_with("error: ")));
        CHECK(content_of(*reader, "owner") == std::string(size, 'z'));
        CHECK(place.names() == Names{"owner"});
    }
}

TEST_CASE_TEMPLATE("a replacement that is given up leaves the old file", Place, EACH_PLACE) {
    Place place;
    REQUIRE(place.client().replace("owner", text("first")));

    const Status status = place.client().replace("owner", [](const Sink& sink) -> Status {
        LITESTREAM_TRY(sink(as_bytes(letters(500))));
        return corrupt("the source broke off");
    });

    CHECK(code_of(status, "owner: the source broke off") == ErrorCode::kCorrupt);
    CHECK(content_of(place.client(), "owner") == "first");
    CHECK(place.names() == Names{"owner"});
}

// --- Removing ---

TEST_CASE_TEMPLATE("what is removed is gone, and its generation with it; a missing file is no error", Place,
                   EACH_PLACE) {
    Place place;
    ReplicaClient& client = place.client();
    const std::string names[] = {segment_path(kGeneration, 0, 0), segment_path(kGeneration, 1, 0)};
    for (const std::string& name : names) REQUIRE(client.publish(name, text("x")));

    REQUIRE(client.remove(names[0]));
    CHECK(place.names() == Names{names[1]});
    CHECK(client.segments(kGeneration)->size() == 1);
    REQUIRE(client.remove(names[1]));
    REQUIRE(client.remove(names[1]));
    REQUIRE(client.remove_all({names[0], names[1]}));

    CHECK(client.generations()->empty());
    CHECK(client.publish(names[1], text("again")));
}

TEST_CASE_TEMPLATE("removing many goes on behind what refuses, and says what and how many", Place,
                   EACH_PLACE) {
    Place place;
    Names names;
    for (int i = 0; i < 1500; ++i) names.push_back("file-" + std::to_string(i));
    for (const std::string& name : names) place.put(name, "x");
    for (const int i : {7, 800, 1400}) place.lock(names[static_cast<std::size_t>(i)]);

    const Status status = place.client().remove_all(names);

    code_of(status, names[7] + ":");
    CHECK(status.error().message.ends_with(", and 2 more"));
    CHECK(place.names().size() == 3);
}

TEST_CASE_TEMPLATE("of what is half written only that of a day ago goes, and nothing that is not ours", Place,
                   EACH_PLACE) {
    Place place;
    ReplicaClient& client = place.client();
    place.leave_half(snapshot_path(kGeneration, 0), wall_clock_ms() - kDayMs - 60'000);
    place.leave_half(snapshot_path(kGeneration, 1), wall_clock_ms() - kDayMs + 60'000);
    place.put(snapshots_path(kGeneration) + "/README", "not ours");
    place.put(snapshot_path(kGeneration, 2), "to be removed");
    REQUIRE(client.remove_all({snapshot_path(kGeneration, 2)}));
    REQUIRE(place.names().size() == 3);

    REQUIRE(client.remove_remains(kGeneration));
    REQUIRE(client.remove_remains(kGeneration));

    CHECK(place.names().size() == 2);
}

// --- All of it ---

TEST_CASE_TEMPLATE("what a replicator puts there restores at every position", Place, EACH_PLACE) {
    TempDirectory directory;
    Place place;
    Primary primary(directory.path(), kGeneration);
    Scheduler scheduler{1};
    ReplicatorOptions options;
    options.name = "test";
    options.sync_interval_ms = 0;
    Replicator replicator(options, place.another(), primary.store(), primary, scheduler);
    for (int i = 0; i < 13; ++i) {
        if (i % 5 == 4) primary.next_index();
        primary.commit();
        if (i % 3 != 0) continue;
        replicator.sync_now();
        REQUIRE_MESSAGE(replicator.wait_for(primary.position(), kTimeoutMs, nullptr),
                        replicator.status().last_error);
    }

    std::size_t restored = 0;
    for (const auto& state : primary.states()) {
        const std::string path = directory.path("restored-" + std::to_string(restored++));
        RestoreOptions to;
        to.position = *Position::parse(state.first);
        const auto result = restore(place.client(), path, to);
        REQUIRE_MESSAGE(result, state.first << ": " << result.error().message);
        CHECK(read_whole(path) == state.second);
    }

    CHECK(restored == 13);
}

}  // namespace litestream
