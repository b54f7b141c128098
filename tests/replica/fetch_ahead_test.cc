#include "shared/replica/fetch_ahead.h"

#include <doctest/doctest.h>

#include <thread>

#include "shared/base/text.h"
#include "tests/replica/fake_store.h"

namespace litestream {
namespace {

// Files in a store, and what is read of them through a crew, in pieces of 10 and then of 20 bytes.
struct Files {
    FakeStore store;
    std::unique_ptr<S3ReplicaClient> client = store.client();
    std::vector<FetchAhead::File> files;
    std::map<std::string, std::string> bodies;

    void add(const std::string& name, std::size_t size) {
        std::string body;
        for (std::size_t i = 0; i < size; ++i) body += static_cast<char>(name[0] + static_cast<char>(i % 61));
        store.put("app/" + name, body);
        files.push_back({name, size});
        bodies[name] = body;
    }
    static FetchSizes sizes(std::uint64_t window = 1000) { return {10, 20, window}; }
};

Result<std::string> read_file(FetchAhead& ahead, const std::string& name) {
    LITESTREAM_ASSIGN(const auto source, ahead.open(name));
    std::string text;
    std::uint8_t buffer[7];
    while (true) {
        LITESTREAM_ASSIGN(const std::size_t n, source->read(buffer));
        if (n == 0) return text;
        text += as_text(ByteView(buffer).first(n));
    }
}

void check_all(Files& all, FetchAhead& ahead) {
    for (const FetchAhead::File& file : all.files) {
        const auto text = read_file(ahead, file.name);
        REQUIRE_MESSAGE(text, text.error().message);
        CHECK(*text == all.bodies[file.name]);
    }
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("files are read in order, in whatever order their pieces come") {
    Files all;
    all.add("a", 100);
    all.add("b", 15);
    all.add("c", 0);
    all.add("d", 35);
    all.store.plan({"app/a bytes=10-29", StoreFault::Kind::kHold});
    FetchCrew crew(*all.client, 4);
    FetchAhead ahead(crew, all.files, Files::sizes());

    REQUIRE(ahead.start());
    REQUIRE(all.store.wait_for_count("app/d", 2));
    all.store.release();

    check_all(all, ahead);
    CHECK(all.store.count("GET") == 6 + 2 + 0 + 3);
}

TEST_CASE("one hand is enough") {
    Files all;
    all.add("a", 100);
    all.add("b", 9);
    FetchCrew crew(*all.client, 1);
    FetchAhead ahead(crew, all.files, Files::sizes(20));

    REQUIRE(ahead.start());

    check_all(all, ahead);
}

TEST_CASE("a range that is cut goes on at the next byte, also past a store that is busy") {
    Files all;
    all.add("a", 100);
    StoreFault cut{"app/a bytes=10-29", StoreFault::Kind::kCut};
    cut.bytes = 7;
    all.store.plan(cut);
    all.store.plan({"app/a bytes=17-29", StoreFault::Kind::kRefuse, 503, "SlowDown"});
    FetchCrew crew(*all.client, 3);
    FetchAhead ahead(crew, all.files, Files::sizes());

    REQUIRE(ahead.start());

    check_all(all, ahead);
    CHECK(all.store.count("GET") == 6 + 2);
}

TEST_CASE("a file that is replaced between two of its pieces is an error") {
    for (const std::size_t size : {100, 90}) {
        Files all;
        all.add("a", 100);
        all.store.plan({"app/a bytes=30-49", StoreFault::Kind::kHold});
        FetchCrew crew(*all.client, 2);
        FetchAhead ahead(crew, all.files, Files::sizes());

        REQUIRE(ahead.start());
        REQUIRE(all.store.wait_for_count("app/a", 3));
        all.store.put("app/a", std::string(size, 'x'));
        all.store.release();
        const auto text = read_file(ahead, "a");

        REQUIRE_FALSE(text);
        CHECK(text.error().code == ErrorCode::kIo);
        CHECK(contains(text.error().message, "app/a: was replaced while it was read"));
    }
}

TEST_CASE("a file that is another one than was listed is an error") {
    Files all;
    all.add("a", 100);
    all.add("b", 5);
    all.store.put("app/b", "longer");
    FetchCrew crew(*all.client, 2);
    FetchAhead ahead(crew, all.files, Files::sizes());

    REQUIRE(ahead.start());

    REQUIRE(read_file(ahead, "a"));
    CHECK(read_file(ahead, "b").error().message == "b: was replaced since it was listed");
}

TEST_CASE("an error is told when the reader comes to it, and nothing is asked for behind it") {
    Files all;
    all.add("a", 100);
    all.add("b", 30);
    for (int i = 0; i < 50; ++i) all.add("c" + std::to_string(i), 30);
    all.store.plan({"app/b bytes=0-9", StoreFault::Kind::kRefuse, 404, "NoSuchKey"});
    FetchCrew crew(*all.client, 2);
    FetchAhead ahead(crew, all.files, Files::sizes());

    REQUIRE(ahead.start());
    const auto before = read_file(ahead, "a");
    const auto text = read_file(ahead, "b");

    CHECK(*before == all.bodies["a"]);
    REQUIRE_FALSE(text);
    CHECK(text.error().code == ErrorCode::kIo);  // no longer 'there is nothing'
    CHECK(contains(text.error().message, "s3://bucket/app/b: NoSuchKey"));
    CHECK(all.store.count("app/c") == 0);
}

TEST_CASE("what is fetched ahead stays within the window") {
    Files all;
    all.add("a", 1000);
    for (int i = 0; i < 30; ++i) all.add("b" + std::to_string(i), 18);
    FetchCrew crew(*all.client, 8);
    FetchAhead ahead(crew, all.files, Files::sizes(64));

    REQUIRE(ahead.start());
    REQUIRE(all.store.wait_for_count("GET", 3));  // nothing has been read
    check_all(all, ahead);

    CHECK(ahead.most_held() >= 50);
    CHECK(ahead.most_held() <= 64);
}

TEST_CASE("cancel() of the client ends a reader that waits for a store that hangs") {
    Files all;
    all.add("a", 100);
    all.store.plan({"app/a bytes=10-29", StoreFault::Kind::kHang});
    FetchCrew crew(*all.client, 4);
    FetchAhead ahead(crew, all.files, Files::sizes());

    REQUIRE(ahead.start());
    std::thread canceller([&] {
        (void)all.store.wait_for_hang();
        all.client->cancel();
    });
    const auto text = read_file(ahead, "a");
    canceller.join();

    REQUIRE_FALSE(text);
    CHECK(text.error().code == ErrorCode::kInterrupt);
}

TEST_CASE("who stops reading waits for no store, and the client goes on") {
    Files all;
    all.add("a", 100);
    all.store.plan({"app/a bytes=10-29", StoreFault::Kind::kHang});
    {
        FetchCrew crew(*all.client, 4);
        FetchAhead ahead(crew, all.files, Files::sizes());
        REQUIRE(ahead.start());
        REQUIRE(all.store.wait_for_hang());
    }

    CHECK(all.client->open("a"));
}

TEST_CASE("a store that cannot cut gives a file whole, once") {
    Files all;
    all.add("a", 100);
    all.add("b", 100);
    all.store.has_ranges = false;
    FetchCrew crew(*all.client, 3);
    FetchAhead ahead(crew, all.files, Files::sizes());

    REQUIRE(ahead.start());

    check_all(all, ahead);
    CHECK(all.store.count("GET") == 2);
}

TEST_CASE("a file that was read whole for its trailer is not asked for again") {
    Files all;
    for (int i = 0; i < 20; ++i) all.add("a" + std::to_string(i), 30);
    FetchCrew crew(*all.client, 4);

    REQUIRE(crew.for_each(20, [&](ReplicaClient& client, std::size_t i) -> Status {
        LITESTREAM_ASSIGN(const auto trailer, crew.trailer(client, all.files[i].name, 30));
        CHECK_FALSE(trailer);
        return {};
    }));
    const int asked = all.store.count("GET");
    FetchAhead ahead(crew, all.files, Files::sizes());
    REQUIRE(ahead.start());

    check_all(all, ahead);
    CHECK(all.store.count("GET") == asked);
}

TEST_CASE("the first error of a crew's work ends all of it") {
    Files all;
    all.add("a", 30);
    all.store.plan({"app/a", StoreFault::Kind::kHang});
    FetchCrew crew(*all.client, 2);

    const Status status = crew.for_each(1000, [&](ReplicaClient& client, std::size_t i) -> Status {
        if (i == 0) return client.open("a") ? Status() : Status(corrupt("the hanging one"));
        if (!all.store.wait_for_hang()) return corrupt("nothing hangs");
        return corrupt("the first");
    });

    REQUIRE_FALSE(status);
    CHECK(status.error().message == "the first");
}

TEST_CASE("a client's duplicates are as many as asked for, as its URL says, or eight") {
    FakeStore store;
    S3Location location = store.location();
    location.parallelism = 2;
    const auto keys = [&store](bool) -> Result<AwsKeys> { return store.keys; };
    const auto connect = [&store] { return store.connect(); };
    S3ReplicaClient client(location, keys, store.connect(), FakeStore::quick(), connect);

    CHECK(client.duplicates(3).size() == 3);
    CHECK(client.duplicates(0).size() == 2);
    CHECK(store.client()->duplicates(0).size() == 8);
}

TEST_CASE("what duplicates ask for counts as the client's, also when they are gone, and ends with it") {
    Files all;
    all.add("a", 5);
    auto duplicates = all.client->duplicates(2);

    CHECK(duplicates[0]->open("a"));
    duplicates.erase(duplicates.begin());
    CHECK(duplicates[0]->open("a"));
    CHECK(all.client->request_counts().at("GET") == 2);
    all.client->cancel();

    CHECK(duplicates[0]->open("a").error().code == ErrorCode::kInterrupt);
    CHECK(all.client->duplicates(1)[0]->open("a").error().code == ErrorCode::kInterrupt);
}

}  // namespace litestream
