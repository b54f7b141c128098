// The S3 client over a store in memory: listing, reading, publishing, removing.
#include "shared/replica/s3_replica_client.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "shared/base/clock.h"
#include "shared/format/path.h"
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

}  // namespace

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

TEST_CASE("a store that passes over Range is read all the same") {
    FakeStore store;
    store.has_ranges = false;
    store.put("app/object", letters(50));

    CHECK(read_object(*store.client(), "object") == letters(50));
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

TEST_CASE("bytes that the store changed are sent again") {
    FakeStore store;
    StoreFault damage{"PUT", StoreFault::Kind::kDamage};
    damage.times = 2;
    store.plan(damage);
    const auto client = store.client();

    CHECK(client->publish("name", text("content")));

    CHECK(read_object(*client, "name") == "content");
    CHECK(client->fence_note().empty());
}

TEST_CASE("bytes that the store goes on to change do not stay under a name that counts as published") {
    FakeStore store;
    StoreFault damage{"PUT", StoreFault::Kind::kDamage};
    damage.times = 100;
    store.plan(damage);

    const Status published = store.client()->publish("name", text("content"));

    REQUIRE_FALSE(published);
    CHECK(published.error().code == ErrorCode::kIo);
    CHECK(published.error().message == "s3://bucket/app/name: the store has other bytes than were sent");
    CHECK(store.objects().empty());
}

TEST_CASE("what cannot be read back does not stay under a name that counts as published") {
    FakeStore store;
    const auto client = store.client();
    REQUIRE(client->publish("first", text("content")));
    store.plan({"PUT", StoreFault::Kind::kDamage});
    store.plan({.pattern = "GET", .status = 403, .code = "AccessDenied"});

    CHECK_FALSE(client->publish("name", text("content")));

    CHECK(store.objects().size() == 1);
}

TEST_CASE("a store that makes its ETags in another way is read back and believed") {
    FakeStore store;
    StoreFault other{"PUT", StoreFault::Kind::kOtherEtag};
    other.times = 100;
    store.plan(other);

    CHECK(store.client()->publish("name", text("content")));
    CHECK(store.count("GET") == 1);
}

TEST_CASE("an upload is over only if the store says so or has it") {
    for (const bool is_done : {true, false}) {
        CAPTURE(is_done);
        FakeStore store;
        const auto client = store.client();
        REQUIRE(client->publish("first", text("x")));
        StoreFault fault{"?uploadId", is_done ? StoreFault::Kind::kGarble : StoreFault::Kind::kRefuse};
        fault.status = 200;
        fault.code = "";
        store.plan(fault);

        const Status published = client->publish("name", text(letters(40)));

        CHECK(published.has_value() == is_done);
        CHECK(store.objects().count("app/name") == (is_done ? 1 : 0));
        CHECK(store.open_uploads() == 0);
    }
}

TEST_CASE("a listing that goes round in circles is an error") {
    FakeStore store;
    store.page_size = 1;
    for (const char* name : {"0", "1", "2"}) store.put("app/" + snapshot_path(kGeneration, 0) + name, "x");
    StoreFault circle{"list-type", StoreFault::Kind::kSamePage};
    circle.times = 100;
    store.plan(circle);

    const auto listed = store.client()->snapshots(kGeneration);

    REQUIRE_FALSE(listed);
    CHECK(listed.error().code == ErrorCode::kCorrupt);
    CHECK(contains(listed.error().message, "has no end"));
    CHECK(store.requests().size() < 5);
}

TEST_CASE("what gets on too slowly is given up, but for what a store may work on for long") {
    const FakeStore store;
    for (const char* method : {"GET", "HEAD", "PUT", "DELETE", "POST"}) {
        CAPTURE(method);

        const HttpRequestSpec http = to_http({S3Kind::kGet, method, "key", {}}, store.location());

        CHECK((http.min_progress > 1000) == (std::string(method) != "POST"));
        CHECK((http.total_timeout_ms > 0) == (std::string(method) == "POST"));
    }
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
