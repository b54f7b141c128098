// The S3 client over a store in memory: listing, reading, publishing, removing.
#include "shared/replica/s3_replica_client.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "shared/base/clock.h"
#include "shared/format/path.h"
#include "shared/format/segment.h"
#include "tests/replica/fake_store.h"

namespace litestream {
namespace {

constexpr const char* kGeneration = "0123456789abcdef";
constexpr std::int64_t kDayMs = std::int64_t{24} * 3600 * 1000;

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

Producer text(std::string content) {
    return [content = std::move(content)](const Sink& sink) { return sink(as_bytes(content)); };
}

// Its bytes, or the error as "error: ...".
std::string read_object(ReplicaClient& client, const std::string& name) {
    const auto source = client.open(name);
    if (!source) return "error: " + source.error().message;
    std::string content;
    Bytes buffer(7);
    while (true) {
        const auto size = (*source)->read(buffer);
        if (!size) return "error: " + size.error().message;
        if (*size == 0) return content;
        content += as_text(ByteView(buffer).first(*size));
    }
}

std::string letters(std::size_t size) {
    std::string content;
    for (std::size_t i = 0; i < size; ++i) content += static_cast<char>('a' + i % 26);
    return content;
}

Trailer trailer_of(std::size_t commits) {
    Trailer trailer;
    trailer.generation = kGeneration;
    trailer.page_size = 512;
    trailer.page_count = 1;
    for (std::size_t i = 1; i <= commits; ++i) trailer.commits.push_back({i * 1000, 0});
    trailer.end_offset = trailer.commits.back().end_offset;
    return trailer;
}

}  // namespace

TEST_CASE("what is published is listed in order, page by page, and nothing else is") {
    FakeStore store;
    store.page_size = 2;
    const auto client = store.client();
    for (const auto& [index, offset] :
         {std::pair<std::uint64_t, std::uint64_t>{16, 0}, {2, 32}, {2, 0}, {3, 0}}) {
        REQUIRE(client->publish(segment_path(kGeneration, index, offset), text("segment")));
    }
    REQUIRE(client->publish(snapshot_path(kGeneration, 2), text("snapshot!")));
    store.put("app/" + wal_path(kGeneration) + "/00000001_000000ff.wal.lz4", "of 0.3");
    store.put("app/" + wal_path(kGeneration) + "/README", "not ours");
    store.put("app/generations/README", "not ours");
    store.put("app2/" + snapshot_path("ffffffffffffffff", 0), "somebody else's");

    const auto segments = client->segments(kGeneration);
    const auto snapshots = client->snapshots(kGeneration);

    CHECK(*client->generations() == std::vector<std::string>{kGeneration});
    REQUIRE(segments->size() == 5);
    CHECK((*segments)[0].offset == 0xff);
    CHECK((*segments)[1].name == segment_path(kGeneration, 2, 0));
    CHECK((*segments)[2].offset == 32);
    CHECK((*segments)[4].index == 16);
    REQUIRE(snapshots->size() == 1);
    CHECK((*snapshots)[0].size_bytes == 9);
    CHECK((*snapshots)[0].created_ms > 1'500'000'000'000);
    CHECK(client->segments("00000000000000ff")->empty());
}

TEST_CASE("a prefix may be empty") {
    FakeStore store;
    S3Location location = store.location("");
    S3ReplicaClient client(
        location, [&](bool) { return store.keys; }, store.connect());

    REQUIRE(client.publish(snapshot_path(kGeneration, 2), text("x")));

    CHECK(store.objects().begin()->first == snapshot_path(kGeneration, 2));
    CHECK(client.generations()->size() == 1);
    CHECK(client.url() == "s3://bucket");
}

TEST_CASE("an object of any size comes back as it went") {
    FakeStore store;
    const auto client = store.client();
    for (const std::size_t size : {0, 1, 9, 10, 11, 15, 16, 17, 32, 33, 100}) {
        CAPTURE(size);
        const std::string name = "object-" + std::to_string(size);

        REQUIRE(client->publish(name, text(letters(size))));

        CHECK(store.objects().at("app/" + name).body == letters(size));
        CHECK(read_object(*client, name) == letters(size));
    }
    CHECK(store.open_uploads() == 0);
}

TEST_CASE("a store that passes over Range is read all the same") {
    FakeStore store;
    store.has_ranges = false;
    store.put("app/object", letters(50));

    CHECK(read_object(*store.client(), "object") == letters(50));
}

TEST_CASE("a missing object is named") {
    FakeStore store;
    const auto client = store.client();

    const auto opened = client->open("generations/x");

    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == ErrorCode::kNotFound);
    CHECK(contains(opened.error().message, "s3://bucket/app/generations/x: NoSuchKey"));
    CHECK(client->trailer("generations/x").error().code == ErrorCode::kNotFound);
}

TEST_CASE("a range that was cut goes on at the next byte") {
    FakeStore store;
    store.put("app/object", letters(30));
    StoreFault cut{"GET", StoreFault::Kind::kCut};
    cut.after = 1;
    cut.bytes = 4;
    store.plan(cut);

    CHECK(read_object(*store.client(), "object") == letters(30));
    CHECK(store.count("GET") == 4);
}

TEST_CASE("two objects of the same name never mix") {
    FakeStore store;
    store.put("app/object", letters(30));
    const auto client = store.client();
    const auto source = client->open("object");
    Bytes buffer(10);
    REQUIRE(*(*source)->read(buffer) == 10);

    store.put("app/object", std::string(30, 'z'));

    const auto next = (*source)->read(buffer);
    REQUIRE_FALSE(next);
    CHECK(contains(next.error().message, "was replaced while it was read"));
}

TEST_CASE("a trailer is found at the end, however long it is") {
    FakeStore store;
    const auto client = store.client();
    for (const std::size_t commits : {1, 3000}) {
        const Trailer trailer = trailer_of(commits);
        store.put("app/object", letters(100) + std::string(as_text(trailer.encode())));

        const auto found = client->trailer("object");

        REQUIRE(found);
        CHECK(*found == trailer);
    }
    for (const std::size_t size : {0, 3, 5000}) {
        store.put("app/object", std::string(size, '\0'));
        CHECK_FALSE(client->trailer("object")->has_value());
    }
}

TEST_CASE("publishing never replaces an object") {
    for (const auto conditions :
         {FakeStore::Conditions::kKept, FakeStore::Conditions::kIgnored, FakeStore::Conditions::kRefused}) {
        for (const std::size_t size : {5, 50}) {
            CAPTURE(size);
            FakeStore store;
            store.conditions = conditions;
            const auto client = store.client();
            REQUIRE(client->publish("name", text(letters(size))));

            const Status again = client->publish("name", text(letters(size)));
            const Status other = store.client()->publish("name", text(letters(size)));

            REQUIRE_FALSE(again);
            CHECK(again.error().code == ErrorCode::kExists);
            CHECK(again.error().message == "s3://bucket/app/name: exists already");
            REQUIRE_FALSE(other);
            CHECK(other.error().code == ErrorCode::kExists);
            CHECK(store.open_uploads() == 0);
        }
    }
}

TEST_CASE("whether a store keeps to conditions is found out once, and said") {
    const auto note_of = [](FakeStore::Conditions conditions) {
        FakeStore store;
        store.conditions = conditions;
        const auto client = store.client();
        REQUIRE(client->publish("first", text("x")));
        const int before = static_cast<int>(store.requests().size());
        REQUIRE(client->publish("second", text("x")));
        const int requests = static_cast<int>(store.requests().size()) - before;
        CHECK(requests == (conditions == FakeStore::Conditions::kKept ? 1 : 3));
        return client->fence_note();
    };

    CHECK(note_of(FakeStore::Conditions::kKept).empty());
    CHECK(contains(note_of(FakeStore::Conditions::kIgnored), "does not support conditional writes"));
    CHECK(contains(note_of(FakeStore::Conditions::kRefused), "does not support conditional writes"));
}

TEST_CASE("replacing puts the new object in the place of the old one") {
    FakeStore store;
    const auto client = store.client();
    REQUIRE(client->replace("owner", text("first")));

    REQUIRE(client->replace("owner", text("second")));

    CHECK(read_object(*client, "owner") == "second");
}

TEST_CASE("what a producer gives up leaves nothing behind") {
    FakeStore store;
    const auto client = store.client();

    const Status status = client->publish("name", [](const Sink& sink) -> Status {
        LITESTREAM_TRY(sink(as_bytes(letters(40))));
        return Error{ErrorCode::kCorrupt, "it is damaged"};
    });

    REQUIRE_FALSE(status);
    CHECK(status.error().code == ErrorCode::kCorrupt);
    CHECK(status.error().message == "s3://bucket/app/name: it is damaged");
    CHECK(store.objects().empty());
    CHECK(store.open_uploads() == 0);
}

TEST_CASE("a missing object is removed without an error") {
    FakeStore store;
    const auto client = store.client();
    REQUIRE(client->publish("name", text("x")));

    CHECK(client->remove("name"));
    CHECK(client->remove("name"));

    CHECK(store.objects().empty());
}

TEST_CASE("many objects go with a few requests, and what refuses is named") {
    FakeStore store;
    std::vector<std::string> names;
    for (int i = 0; i < 1500; ++i) names.push_back("object-" + std::to_string(i));
    for (const std::string& name : names) store.put("app/" + name, "x");
    store.locked = {"app/object-7", "app/object-1400"};
    const auto client = store.client();

    const Status status = client->remove_all(names);

    REQUIRE_FALSE(status);
    CHECK(status.error().code == ErrorCode::kAuth);
    CHECK(
        contains(status.error().message, "s3://bucket/app/object-7: AccessDenied: protected by object lock"));
    CHECK(contains(status.error().message, "s3:DeleteObject, and 1 more"));
    CHECK(store.objects().size() == 2);
    CHECK(store.count("delete=") == 2);
}

TEST_CASE("without multi-delete objects go one by one") {
    FakeStore store;
    store.has_multi_delete = false;
    for (const char* key : {"app/1", "app/2", "app/3"}) store.put(key, "x");
    store.locked = {"app/2"};

    const Status status = store.client()->remove_all({"1", "2", "3"});

    REQUIRE_FALSE(status);
    CHECK(contains(status.error().message, "s3://bucket/app/2: AccessDenied"));
    CHECK(store.objects().size() == 1);
}

TEST_CASE("uploads that nobody finished for a day go, once something was removed") {
    FakeStore store;
    const auto client = store.client();
    store.begin_upload("app/" + snapshot_path(kGeneration, 0), wall_clock_ms() - 2 * kDayMs);
    store.begin_upload("app/" + snapshot_path(kGeneration, 1), wall_clock_ms());
    store.begin_upload("other/" + snapshot_path(kGeneration, 0), wall_clock_ms() - 2 * kDayMs);

    REQUIRE(client->remove_remains(kGeneration));
    CHECK(store.requests().empty());
    REQUIRE(client->remove_all({"name"}));
    REQUIRE(client->remove_remains(kGeneration));
    REQUIRE(client->remove_remains(kGeneration));

    CHECK(store.open_uploads() == 2);
    CHECK(store.count("uploads=") == 1);
}

TEST_CASE("requests are counted by kind") {
    FakeStore store;
    const auto client = store.client();

    REQUIRE(client->publish("name", text("x")));
    REQUIRE(client->open("name"));
    REQUIRE(client->generations());
    REQUIRE(client->remove("name"));

    CHECK(client->request_counts() == std::map<std::string, std::uint64_t>{
                                          {"PUT", 2}, {"GET", 1}, {"LIST", 1}, {"DELETE", 1}, {"HEAD", 1}});
}

}  // namespace litestream
