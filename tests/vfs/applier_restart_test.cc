// The applier over restarts, and when strangers write to its database.
#include "tests/vfs/followed.h"

using namespace litestream;
using namespace litestream::test;

namespace fs = std::filesystem;

namespace {

void check_same(const SourceState& state, const SourceState& expected) {
    CHECK(state.position == expected.position);
    CHECK(state.header.encode() == expected.header.encode());
    CHECK(state.chain == expected.chain);
    CHECK(state.page_size == expected.page_size);
    CHECK(state.time_ms == expected.time_ms);
    CHECK(state == expected);
}

}  // namespace

// --- Over restarts ---

TEST_CASE_FIXTURE(Followed, "the applier goes on where it was") {
    make_source();
    follow();
    write(5);
    require(apply());
    const SourceState before = applier->state();

    applier.reset();
    open_applier();

    check_same(applier->state(), before);
    write(5);
    require(apply());
    check_equal();
}

TEST_CASE_FIXTURE(Followed, "closed and opened again: it goes on") {
    make_source();
    follow();
    write(5);
    require(apply());
    const SourceState before = applier->state();
    host->exec("SELECT count(*) FROM t");
    applier.reset();
    host.reset();
    CHECK(!fs::exists(path + "-wal"));

    open_host();
    open_applier();

    check_same(applier->state(), before);
    write(5);
    require(apply());
    check_equal();
}

TEST_CASE_FIXTURE(Followed, "closed by an application that never read, and opened again: it goes on") {
    make_source();
    follow();
    write(5);
    require(apply());
    const SourceState before = applier->state();
    applier.reset();
    host.reset();

    open_host();
    open_applier();

    check_same(applier->state(), before);
}

TEST_CASE_FIXTURE(Followed,
                  "a stock reader that closes last, after a rest or a clean end, takes no state away") {
    for (const bool ends : {false, true}) {
        CAPTURE(ends);
        Followed self;
        const std::string folder = self.directory.path("folder");
        fs::create_directory(folder);
        self.path = folder + "/replica.db";
        self.make_source();
        self.follow();
        self.write(5);
        require(self.apply());
        const SourceState before = self.applier->state();
        if (ends) self.applier.reset();
        if (!ends) require(self.applier->idle());
        // Whoever still has the files open has them there now, so that they look closed here.
        fs::rename(folder, self.directory.path("left"));
        fs::remove(self.directory.path("left/replica.db-shm"));
        self.applier.reset();
        self.host.reset();
        self.path = self.directory.path("left/replica.db");

        CHECK(Connection(self.path, kStock).text("SELECT count(*) FROM t") == "6");
        CHECK(!fs::exists(self.path + "-wal"));
        self.open_host();
        self.open_applier();

        check_same(self.applier->state(), before);
    }
}

TEST_CASE_FIXTURE(Followed, "the process dies at any time: it goes on") {
    make_source();
    follow();
    for (int i = 0; i < 20; ++i) {
        CAPTURE(i);
        write(3, 3000);
        require(apply());
        const SourceState before = applier->state();
        const std::string left = directory.path("left" + std::to_string(i));
        fs::create_directory(left);
        for (const char* suffix : {"", "-wal", "-litestream"}) {
            fs::copy(path + suffix, left + "/replica.db" + suffix, fs::copy_options::recursive);
        }
        applier.reset();
        host.reset();
        path = left + "/replica.db";
        open_host();
        open_applier();
        check_same(applier->state(), before);
    }
    check_equal();
}

// --- Strangers ---

TEST_CASE_FIXTURE(Followed, "another program writes while it is followed: said, and healed by a snapshot") {
    make_source();
    follow();
    write(1);
    require(apply());
    Connection(path, kStock).exec("INSERT INTO t(b) VALUES('foreign')");
    write(1);

    CHECK(!apply());
    CHECK(applier->state().position.empty());
    CHECK(applier->reset_reason().find("another program wrote") != std::string::npos);
    require(apply_image());
    require(apply());
    check_equal();
    CHECK(applier->reset_reason() == "");
}

TEST_CASE_FIXTURE(Followed, "another program writes while nobody follows: said, and healed by a snapshot") {
    for (const bool closes : {false, true}) {
        CAPTURE(closes);
        Followed self;
        self.make_source();
        self.follow();
        self.write(1);
        require(self.apply());
        self.applier.reset();
        if (closes) self.host.reset();
        Connection(self.path, kStock).exec("INSERT INTO t(b) VALUES('foreign')");
        if (closes) self.open_host();
        self.open_applier();

        CHECK(self.applier->state().position.empty());
        CHECK(self.applier->reset_reason() != "");
        require(self.apply_image());
        require(self.apply());
        self.check_equal();
    }
}

TEST_CASE_FIXTURE(Followed, "an image of another page size is refused") {
    make_source("PRAGMA page_size=8192");
    Connection(path, kStock).exec("PRAGMA page_size=4096; CREATE TABLE mine(a)");
    open_host();
    open_applier();

    const auto refused = apply_image();

    REQUIRE(!refused);
    CHECK(refused.error().code == ErrorCode::kInput);
    CHECK(refused.error().message.find("page size is 4096") != std::string::npos);
    CHECK(Connection(path, kStock).text("SELECT count(*) FROM mine") == "0");
}

TEST_CASE_FIXTURE(Followed, "another program writes while nothing comes: seen at the next rest") {
    make_source();
    follow();
    write(1);
    require(apply());
    require(applier->idle());
    Connection(path, kStock).exec("INSERT INTO t(b) VALUES('foreign')");

    const auto rested = applier->idle();

    CHECK(!rested);
    CHECK(applier->state().position.empty());
    require(apply_image());
    require(apply());
    check_equal();
}
