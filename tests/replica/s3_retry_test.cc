// The S3 client when something goes wrong: what is tried again, what is ours in spite of a refusal, and what
// an error says.
#include <doctest/doctest.h>

#include <future>

#include "shared/base/clock.h"
#include "tests/replica/fake_store.h"

namespace litestream {
namespace {

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

Producer text(std::string content) {
    return [content = std::move(content)](const Sink& sink) { return sink(as_bytes(content)); };
}

std::string message_of(const Status& status) { return status ? "" : status.error().message; }

StoreFault refusal(const std::string& pattern, unsigned status, const std::string& code, int times = 1) {
    StoreFault fault{pattern};
    fault.status = status;
    fault.code = code;
    fault.times = times;
    return fault;
}

// What publishing says at a store that refuses once with `status` and `code`.
Error refused_with(unsigned status, const std::string& code,
                   const std::map<std::string, std::string>& headers = {}) {
    FakeStore store;
    StoreFault fault = refusal("PUT", status, code);
    fault.headers = headers;
    store.plan(fault);
    const Status published = store.client()->publish("name", text("x"));
    REQUIRE_FALSE(published);
    CHECK(store.objects().empty());
    return published.error();
}

}  // namespace

TEST_CASE("what may heal is tried again") {
    for (const auto& [status, code] : {std::pair<unsigned, const char*>{500, "InternalError"},
                                       {503, "SlowDown"},
                                       {429, "TooManyRequests"},
                                       {400, "RequestTimeout"},
                                       {409, "ConditionalRequestConflict"}}) {
        const std::string name = code;
        CAPTURE(name);
        FakeStore store;
        store.plan(refusal("PUT", status, code, 4));

        CHECK(store.client()->publish("name", text("x")));
        CHECK(store.objects().size() == 1);
    }
}

TEST_CASE("it is not tried for ever") {
    FakeStore store;
    store.plan(refusal("PUT", 503, "SlowDown", 100));

    const Status published = store.client()->publish("name", text("x"));

    REQUIRE_FALSE(published);
    CHECK(published.error().code == ErrorCode::kIo);
    CHECK(contains(published.error().message, "s3://bucket/app/name: SlowDown (503)"));
    CHECK(store.count("PUT") == 5);
}

TEST_CASE("what will not heal is not tried again") {
    FakeStore store;
    store.plan(refusal("PUT", 400, "EntityTooLarge"));

    CHECK_FALSE(store.client()->publish("name", text("x")));
    CHECK(store.count("PUT") == 1);
}

TEST_CASE("a publication whose answer was lost is known as ours") {
    for (const auto conditions : {FakeStore::Conditions::kKept, FakeStore::Conditions::kIgnored}) {
        for (const char* request : {"PUT /bucket/app/name", "POST /bucket/app/name?uploadId"}) {
            for (const int attempts : {1, 2}) {
                CAPTURE(request);
                FakeStore store;
                store.conditions = conditions;
                StoreFault lost{request, StoreFault::Kind::kLose};
                lost.times = attempts;
                store.plan(lost);
                const std::string content(request[1] == 'O' ? 40 : 5, 'x');

                CHECK(message_of(store.client()->publish("name", text(content))).empty());

                CHECK(store.objects().at("app/name").body == content);
            }
        }
    }
}

TEST_CASE("a rival's object behind a lost answer is known as his") {
    FakeStore store;
    const auto client = store.client();
    REQUIRE(client->publish("first", text("x")));
    store.put("app/name", "x");
    store.plan({"PUT /bucket/app/name", StoreFault::Kind::kReset});

    const Status published = client->publish("name", text("x"));

    REQUIRE_FALSE(published);
    CHECK(published.error().code == ErrorCode::kExists);
}

TEST_CASE("an upload goes on through failures, and one that cannot is given up") {
    FakeStore store;
    const auto client = store.client();
    store.plan({"partNumber=2", StoreFault::Kind::kReset});
    store.plan(refusal("uploads=", 503, "SlowDown"));
    REQUIRE(client->publish("name", text(std::string(40, 'x'))));

    store.plan(refusal("partNumber=2", 400, "EntityTooLarge"));
    const Status other = client->publish("other", text(std::string(40, 'x')));

    CHECK(contains(message_of(other), "s3://bucket/app/other: EntityTooLarge (400)"));
    CHECK(store.objects().size() == 1);
    CHECK(store.open_uploads() == 0);
}

TEST_CASE("a failure that comes behind a good status is one") {
    FakeStore store;
    store.plan(refusal("POST /bucket/app/name?uploadId", 200, "InternalError"));

    CHECK(store.client()->publish("name", text(std::string(40, 'x'))));
    CHECK(store.count("?uploadId") == 2);
}

TEST_CASE("a first range that is cut is asked for again") {
    FakeStore store;
    store.put("app/object", "0123456789");
    StoreFault cut{"GET", StoreFault::Kind::kCut};
    cut.bytes = 4;
    store.plan(cut);
    const auto client = store.client();
    const auto source = client->open("object");
    Bytes buffer(20);

    REQUIRE(source);
    CHECK(*(*source)->read(buffer) == 10);
}

TEST_CASE("the region that the store hints at is used") {
    FakeStore store;
    S3Location location = store.location();
    location.region = "us-east-1";
    S3ReplicaClient client(
        location, [&](bool) { return store.keys; }, store.connect(), FakeStore::quick());

    CHECK(client.generations());
    CHECK(client.generations());
    CHECK(store.requests().size() == 3);
}

TEST_CASE("expired credentials are asked for again, once") {
    FakeStore store;
    store.keys.session_token = "new";
    int asked = 0;
    AwsKeys keys = store.keys;
    keys.session_token = "old";
    const S3Keys renewed = [&](bool refresh) {
        asked += refresh ? 1 : 0;
        if (refresh) keys.session_token = "new";
        return Result<AwsKeys>(keys);
    };
    const S3Keys stale = [&](bool) { return Result<AwsKeys>(AwsKeys{"id", "secret", "old"}); };
    S3ReplicaClient client(store.location(), renewed, store.connect(), FakeStore::quick());
    S3ReplicaClient hopeless(store.location(), stale, store.connect(), FakeStore::quick());

    CHECK(client.generations());
    const auto refused = hopeless.generations();

    CHECK(asked == 1);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kAuth);
    CHECK(contains(refused.error().message,
                   "s3://bucket/app: ExpiredToken: as told (400); the credentials have expired"));
}

TEST_CASE("an error says what to do") {
    CHECK(contains(refused_with(403, "SignatureDoesNotMatch").message, "does not fit the access key id"));
    CHECK(contains(refused_with(403, "AccessDenied").message, "the credentials need s3:PutObject"));
    CHECK(refused_with(403, "AccessDenied").code == ErrorCode::kAuth);
    CHECK(contains(refused_with(404, "NoSuchBucket").message, "no bucket \"bucket\" at http://127.0.0.1:9"));
    CHECK(refused_with(404, "NoSuchBucket").code == ErrorCode::kCantOpen);
    CHECK(refused_with(404, "NoSuchUser").code == ErrorCode::kIo);
    CHECK(contains(refused_with(301, "PermanentRedirect").message, "not in the region eu-west-1"));
    const Error skewed =
        refused_with(403, "RequestTimeTooSkewed", {{"date", "Tue, 24 Nov 2020 09:00:00 GMT"}});
    CHECK(contains(skewed.message, " s ahead of the store's: set it"));
}

TEST_CASE("no error shows a key, even if the store's does") {
    FakeStore store;
    store.keys = {"AKIDEXAMPLE", "wJalrXUtnFEMI", "FwoGZXIvYXdz"};
    StoreFault fault = refusal("PUT", 403, "AccessDenied");
    fault.message = "AKIDEXAMPLE with wJalrXUtnFEMI and FwoGZXIvYXdz may not; twice AKIDEXAMPLE";
    store.plan(fault);

    const std::string message = message_of(store.client()->publish("name", text("x")));

    CHECK(contains(message, "AccessDenied: *** with *** and *** may not; twice *** (403)"));
}

TEST_CASE("no error shows the beginning of a key within which it was cut") {
    FakeStore store;
    store.keys.session_token = std::string(2000, 'T');
    StoreFault fault = refusal("PUT", 403, "AccessDenied");
    fault.message = "with " + store.keys.session_token;
    store.plan(fault);

    const std::string message = message_of(store.client()->publish("name", text("x")));

    CHECK(contains(message, "AccessDenied: with ***... (403)"));
}

TEST_CASE("how long a store wants to be left alone is read as seconds or as a date") {
    constexpr std::int64_t kNow = 1'606'208'400'000;  // Tue, 24 Nov 2020 09:00:00 GMT
    const auto asked = [](const std::string& value) {
        return retry_after_ms({503, {{"retry-after", value}}, ""}, kNow);
    };

    CHECK(asked("3") == 3000);
    CHECK(asked("0") == 0);
    CHECK(asked("-3") == 0);
    CHECK(asked("Tue, 24 Nov 2020 09:00:07 GMT") == 7000);
    CHECK(asked("Tue, 24 Nov 2020 08:00:00 GMT") == 0);
    CHECK(asked("99999999999999999999") == 24 * 3'600'000);
    CHECK(asked("soon") == 0);
    CHECK(asked("3 s") == 0);
    CHECK(retry_after_ms({503, {}, ""}, kNow) == 0);
}

TEST_CASE("a store that says for how long is left alone, within the limit of a wait") {
    const auto tried_ms = [](std::int64_t limit_ms) {
        FakeStore store;
        StoreFault fault = refusal("PUT", 503, "SlowDown");
        fault.headers = {{"retry-after", "1"}};
        store.plan(fault);
        S3Options options = FakeStore::quick();
        options.max_wait_ms = limit_ms;
        const std::int64_t start_ms = steady_clock_ms();
        CHECK(store.client(options)->publish("name", text("x")));
        return steady_clock_ms() - start_ms;
    };

    CHECK(tried_ms(5000) >= 1000);
    CHECK(tried_ms(1) < 1000);
}

TEST_CASE("cancelling ends a request that hangs and everything after it") {
    FakeStore store;
    store.plan({"PUT", StoreFault::Kind::kHang});
    const auto client = store.client();
    auto published = std::async(std::launch::async, [&] { return client->publish("name", text("x")); });
    REQUIRE(store.wait_for_hang());

    client->cancel();

    CHECK(published.get().error().code == ErrorCode::kInterrupt);
    CHECK(client->generations().error().code == ErrorCode::kInterrupt);
}

TEST_CASE("cancelling ends the wait between two attempts") {
    FakeStore store;
    S3Options patient = FakeStore::quick();
    patient.min_wait_ms = patient.max_wait_ms = 3'600'000;
    store.plan(refusal("list-type", 503, "SlowDown", 100));
    const auto client = store.client(patient);
    auto listed = std::async(std::launch::async, [&] { return client->generations(); });

    client->cancel();

    CHECK(listed.get().error().code == ErrorCode::kInterrupt);
}

}  // namespace litestream
