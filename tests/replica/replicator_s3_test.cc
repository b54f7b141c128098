// What a replicator asks of a store in a bucket, how often, and what it says of refusals. Time moves by hand.
#include <doctest/doctest.h>

#include "shared/base/events.h"
#include "shared/format/path.h"
#include "tests/replica/fake_store.h"
#include "tests/replica/primary.h"
#include "tests/replica/site.h"

namespace litestream {
namespace {

constexpr const char* kGeneration = "00000000000000a1";
constexpr std::int64_t kSecondMs = 1000;
constexpr std::int64_t kDayMs = 24 * kHourMs;

struct Bucket {
    TempDirectory directory;
    FakeStore store;
    FakeClock clock;
    Primary primary{directory.path(), kGeneration};
    Scheduler scheduler{2, clock.clock().steady_ms};
    std::unique_ptr<Replicator> replicator;

    Bucket() { store.keys = {"AKIDEXAMPLE", "wJalrXUtnFEMI", ""}; }

    void start() {
        ReplicatorOptions options;
        options.name = "test";
        options.owner = {"0123", primary.path(), "this machine"};
        options.clock = clock.clock();
        S3Options quick;
        quick.min_wait_ms = quick.max_wait_ms = 1;
        replicator = std::make_unique<Replicator>(std::move(options), store.client(quick), primary.store(),
                                                  primary, scheduler);
    }
    // Nothing of the start is left to do: the first snapshot is there, and retention had its turn.
    void settle() {
        start();
        primary.commit();
        pass(kSecondMs);
        until([this] { return is_caught_up() && status().retained_ms != 0; });
    }
    void pass(std::int64_t milliseconds) {
        clock.advance(milliseconds);
        scheduler.clock_moved();
    }
    void commit_and_pass_interval() {
        primary.commit();
        pass(kSecondMs);
        until([this] { return is_caught_up(); });
    }

    ReplicatorStatus status() const { return replicator->status(); }
    bool is_caught_up() const { return status().position == primary.position(); }
    // What came since `before`, without zeros.
    RequestCounts since(const RequestCounts& before) const {
        RequestCounts counts = status().requests;
        for (const auto& [kind, count] : before) counts[kind] -= count;
        std::erase_if(counts, [](const auto& entry) { return entry.second == 0; });
        return counts;
    }
    // A day later, with a commit of a new index: a snapshot is due, and retention behind it.
    void next_day() {
        pass(kDayMs);
        primary.next_index();
        commit_and_pass_interval();
    }
    std::vector<std::string> events(const std::string& kind) const {
        std::vector<std::string> details;
        for (const Event& event : recorded_events()) {
            if (event.database == primary.path() && event.kind == kind) details.push_back(event.detail);
        }
        return details;
    }
    bool has_error(const std::string& part) const {
        return status().last_error.find(part) != std::string::npos;
    }
};

StoreFault refusal(const std::string& pattern, unsigned status, const std::string& code,
                   const std::string& message, int times) {
    StoreFault fault{pattern};
    fault.status = status;
    fault.code = code;
    fault.message = message;
    fault.times = times;
    return fault;
}

}  // namespace

TEST_CASE_FIXTURE(Bucket, "the commits of a sync interval are one PUT, the owner is read every ten seconds") {
    settle();
    const RequestCounts before = status().requests;

    for (int interval = 0; interval < 20; ++interval) {
        for (int i = 0; i < 9; ++i) {
            primary.commit();
            pass(kSecondMs / 10);
        }
        primary.commit();
        pass(kSecondMs / 10);
        until([this] { return is_caught_up(); });
    }

    CHECK(since(before) == RequestCounts{{"GET", 2}, {"PUT", 20}});
}

TEST_CASE_FIXTURE(Bucket, "an idle hour asks nothing") {
    settle();
    const RequestCounts before = status().requests;

    for (int second = 0; second < 3600; ++second) pass(kSecondMs);
    CHECK(since(before) == RequestCounts{});
    commit_and_pass_interval();

    CHECK(since(before) == RequestCounts{{"GET", 1}, {"PUT", 1}});
}

TEST_CASE_FIXTURE(Bucket, "after the snapshot that its last commits are due an idle database asks nothing") {
    settle();
    primary.next_index();
    commit_and_pass_interval();
    pass(kDayMs);
    until([this] { return status().retained_ms == clock.wall_ms(); });
    const RequestCounts before = status().requests;

    for (int day = 0; day < 30; ++day) pass(kDayMs);
    commit_and_pass_interval();

    CHECK(since(before) == RequestCounts{{"GET", 1}, {"PUT", 1}});
}

TEST_CASE_FIXTURE(Bucket, "a store without conditional writes is said, and looked at before and after") {
    store.conditions = FakeStore::Conditions::kIgnored;
    settle();
    const RequestCounts before = status().requests;

    commit_and_pass_interval();

    CHECK(status().note.find("does not support conditional writes") != std::string::npos);
    CHECK(since(before) == RequestCounts{{"HEAD", 2}, {"PUT", 1}});
}

TEST_CASE_FIXTURE(Bucket, "who may not delete is told once and asks again with the next snapshot") {
    settle();
    store.plan(refusal("?delete", 403, "AccessDenied", "not for you", 2));

    next_day();
    until([this] {
        return has_error("removing old files: s3://bucket/app: AccessDenied: not for you (403); "
                         "the credentials need s3:DeleteObject");
    });
    const RequestCounts before = status().requests;
    for (int hour = 0; hour < 12; ++hour) {
        pass(kHourMs);
        commit_and_pass_interval();
        CHECK(status().state == "ok");
    }
    CHECK(since(before) == RequestCounts{{"GET", 12}, {"PUT", 12}});
    next_day();
    until([this] { return store.count("?delete") == 2; });
    CHECK(events("retention_error").size() == 1);

    next_day();
    until([this] { return status().last_error.empty(); });

    CHECK(store.count("?delete") > 2);
    CHECK(events("retention_error").size() == 1);
    CHECK(events("retention_recovered").size() == 1);
}

TEST_CASE_FIXTURE(Bucket, "a snapshot that is locked keeps what it needs, and replication goes on") {
    const std::string locked = "app/" + snapshot_path(kGeneration, 0);
    store.locked = {locked};
    settle();
    primary.next_index();
    commit_and_pass_interval();

    pass(kDayMs);
    next_day();
    until([&] { return has_error("removing old files: s3://bucket/" + locked + ": AccessDenied"); });
    commit_and_pass_interval();

    CHECK(store.objects().contains(locked));
    const std::string segments = "app/" + wal_path(kGeneration) + "/0000000000000000/";
    const auto objects = store.objects();
    const auto first = objects.lower_bound(segments);
    REQUIRE(first != objects.end());
    CHECK(first->first.starts_with(segments));
    CHECK(events("retention_error").size() == 1);
}

TEST_CASE_FIXTURE(Bucket, "what a store refuses reaches the status: code, message, what to do, and no key") {
    settle();
    struct Case {
        unsigned status;
        const char* code;
        const char* advice;
    };
    for (const Case& refused : {Case{403, "AccessDenied", "the credentials need s3:PutObject"},
                                Case{404, "NoSuchBucket", "there is no bucket \"bucket\""},
                                Case{403, "RequestTimeTooSkewed", "the clock of this machine"},
                                Case{403, "SignatureDoesNotMatch", "the secret access key does not fit"},
                                Case{403, "InvalidAccessKeyId", "does not know this access key id"}}) {
        const std::string code = refused.code;
        CAPTURE(code);
        const std::string message = "says the store to AKIDEXAMPLE and wJalrXUtnFEMI";
        store.plan(refusal("PUT", refused.status, code, message, 2));
        primary.commit();
        pass(kSecondMs);

        until([&] { return has_error(code + ": says the store to *** and ***"); });
        CHECK(has_error(refused.advice));
        CHECK(status().state == "retrying");

        until([&] {
            pass(kSecondMs / 10);
            return is_caught_up() && status().last_error.empty();
        });
    }
}

}  // namespace litestream
