// Snapshots and images that a live replica receives, how it goes on behind them, and when it is opened again.
#include "shared/store/replica_feed.h"

#include <doctest/doctest.h>

#include "tests/store/feed_fixture.h"

using namespace litestream;

TEST_CASE("a snapshot in the middle of an index is gone on from, and the store does not pretend") {
    Replica replica;
    WalMaker wal(kGeneration);
    wal.begin_index();
    wal.commit_and_cut();

    REQUIRE(replica.snapshot(wal.snapshot(), wal.header()));
    const Position taken = replica.at();
    CHECK(replica.shows(wal));
    CHECK(replica.store.end() == taken);
    REQUIRE(replica.take(wal.commit_and_cut()));

    CHECK(replica.shows(wal));
    CHECK(replica.starts_after(taken) == std::vector<std::uint64_t>{taken.offset});
    CHECK(replica.starts_after({kGeneration, 0, 0}) == std::vector<std::uint64_t>{taken.offset});
}

TEST_CASE("after a snapshot in a later index its trailer tells how the one before ended") {
    Replica replica;
    WalMaker wal(kGeneration);
    wal.begin_index();
    wal.commit_and_cut();
    wal.begin_index();
    REQUIRE(replica.snapshot(wal.snapshot(), wal.header()));

    CHECK(replica.at() == Position{kGeneration, 1, 32});
    REQUIRE(replica.take(wal.commit_and_cut()));
    CHECK(replica.shows(wal));
}

TEST_CASE("a snapshot replaces what is there, in the same generation and in another one") {
    Followed replica;
    REQUIRE(replica.take(replica.wal.begin_index()));
    REQUIRE(replica.take(replica.wal.commit_and_cut()));
    REQUIRE(replica.take(replica.wal.begin_index()));
    REQUIRE(replica.take(replica.wal.commit_and_cut()));
    WalMaker other("00000000000000bb");
    SUBCASE("the same") {
        replica.wal.commit_and_cut();
        REQUIRE(replica.snapshot(replica.wal.snapshot(), replica.wal.header()));
        REQUIRE(replica.take(replica.wal.commit_and_cut()));
        CHECK(replica.shows(replica.wal));
    }
    SUBCASE("another") {
        REQUIRE(replica.snapshot(other.snapshot(), {}));
        REQUIRE(replica.take(other.begin_index(), other.generation()));
        REQUIRE(replica.take(other.commit_and_cut(), other.generation()));
        CHECK(replica.shows(other));
    }

    CHECK(replica.store.generations().size() == 1);
    CHECK(replica.store.end() == replica.at());
}

TEST_CASE("a snapshot that does not verify changes nothing") {
    Replica replica;
    WalMaker wal(kGeneration);
    wal.begin_index();
    wal.commit_and_cut();
    Bytes header = wal.header();
    SUBCASE("no chain") {
        wal.edit = [](Trailer& t) { t.end_checksum = {}; };
    }
    SUBCASE("salts") {
        wal.edit = [](Trailer& t) { t.salts[3] ^= 1; };
    }
    SUBCASE("kind") {
        wal.edit = [](Trailer& t) {
            t.kind = Trailer::Kind::kSegment;
            t.start_offset = 0;
        };
    }
    SUBCASE("no header") { header.clear(); }
    SUBCASE("no trailer") { wal.has_trailers = false; }

    CHECK(is_corrupt(replica.snapshot(wal.snapshot(), header)));
    CHECK(replica.target.images == 0);
    CHECK(replica.at().empty());
}

TEST_CASE("a snapshot with one flipped byte is refused, unless it is the same database all the same") {
    Replica replica;
    WalMaker wal(kGeneration);
    Bytes payload = wal.snapshot();

    for (std::size_t i = 0; i < payload.size(); ++i) {
        CAPTURE(i);
        payload[i] ^= 1;
        replica.target.database.clear();
        const bool is_taken = replica.snapshot(payload, {}).has_value();
        CHECK(replica.target.database == (is_taken ? wal.database() : Bytes()));
        payload[i] ^= 1;
    }

    CHECK(replica.target.images < 5);
}

TEST_CASE("an image is taken as it is and gone on from") {
    Replica replica;
    WalMaker wal(kGeneration);
    wal.begin_index();
    wal.commit_and_cut();
    SourceState state;
    state.position = wal.end();
    state.has_header = true;
    state.header = *WalHeader::decode(wal.header());
    state.chain = wal.last_trailer.end_checksum;
    state.page_size = 512;

    MemorySource pages(wal.database());
    REQUIRE(replica.feed->take_image(pages, wal.database().size(), state));
    REQUIRE(replica.take(wal.commit_and_cut()));

    CHECK(replica.shows(wal));
}

TEST_CASE("an image of another length or without a database's first page is refused") {
    Replica replica;
    WalMaker wal(kGeneration);
    Bytes image = wal.database();
    SourceState state;
    state.position = {kGeneration, 0, 0};
    state.page_size = 512;
    std::uint64_t size = image.size();
    SUBCASE("shorter") { size += 512; }
    SUBCASE("longer") { size -= 512; }
    SUBCASE("no database") { image[0] = 'X'; }
    SUBCASE("page size") { state.page_size = 1024; }

    MemorySource pages(image);
    CHECK(is_corrupt(replica.feed->take_image(pages, size, state)));
    CHECK(replica.target.images == 0);
}

TEST_CASE("after it was opened again the feed goes on where it was") {
    Followed replica;
    REQUIRE(replica.take(replica.wal.begin_index()));
    REQUIRE(replica.take(replica.wal.commit_and_cut()));
    SUBCASE("in the index") {}
    SUBCASE("behind a snapshot in its middle") {
        REQUIRE(replica.snapshot(replica.wal.snapshot(), replica.wal.header()));
        REQUIRE(replica.take(replica.wal.commit_and_cut()));
    }
    SUBCASE("right behind such a snapshot") {
        REQUIRE(replica.snapshot(replica.wal.snapshot(), replica.wal.header()));
    }
    const auto starts = replica.starts_after({kGeneration, 0, 0});

    replica.open();

    CHECK(replica.shows(replica.wal));
    CHECK(replica.store.end() == replica.wal.end());
    CHECK(replica.starts_after({kGeneration, 0, 0}) == starts);
    CHECK(replica.store.bytes_after(replica.wal.end()) == 0);
    REQUIRE(replica.take(replica.wal.commit_and_cut()));
    REQUIRE(replica.take(replica.wal.begin_index()));
    REQUIRE(replica.take(replica.wal.commit_and_cut()));
    CHECK(replica.shows(replica.wal));
    CHECK(replica.store.end() == replica.wal.end());
}

TEST_CASE("a store that does not end where the database is begins anew there") {
    Followed replica;
    REQUIRE(replica.take(replica.wal.begin_index()));
    REQUIRE(replica.take(replica.wal.commit_and_cut()));
    const SourceState behind = replica.target.shown;
    WalMaker twin = replica.wal;
    REQUIRE(replica.take(replica.wal.commit_and_cut()));
    replica.target.shown = behind;

    replica.open();

    CHECK(replica.at() == behind.position);
    CHECK(replica.store.end() == behind.position);
    CHECK(replica.starts_after({kGeneration, 0, 0}).empty());
    REQUIRE(replica.take(twin.commit_and_cut()));
    CHECK(replica.store.end() == twin.end());
}

TEST_CASE("an error of the database is handed on, and the same segment is taken later") {
    Followed replica;
    REQUIRE(replica.take(replica.wal.begin_index()));
    replica.wal.commit();
    replica.wal.commit();
    const auto segment = replica.wal.cut();
    replica.target.fails_in = 2;

    CHECK(contains(replica.take(segment), "disk full"));
    CHECK(replica.at() == Position{kGeneration, 0, 32});
    CHECK(replica.starts_after({kGeneration, 0, 0}).empty());

    CHECK(replica.take(segment));
    CHECK(replica.shows(replica.wal));
    CHECK(replica.store.end() == replica.wal.end());
}

TEST_CASE("a segment beyond what is kept in memory goes through a file that leaves nothing behind") {
    Replica replica;
    WalMaker wal(kGeneration, 32768);
    REQUIRE(replica.snapshot(wal.snapshot(), {}));
    REQUIRE(replica.take(wal.begin_index()));
    for (int i = 0; i < 300; ++i) wal.commit();
    const auto segment = wal.cut();
    REQUIRE(wal.end().offset > 16u << 20);
    const std::size_t files = replica.files();

    REQUIRE(replica.take(segment));

    CHECK(replica.shows(wal));
    CHECK(replica.target.commits == 300);
    CHECK(replica.stored({kGeneration, 0, 0}) == segment.payload);
    CHECK(replica.files() <= files + 1);
}

TEST_CASE("without a state a segment is refused") {
    Replica replica;
    WalMaker wal(kGeneration);

    CHECK(is_corrupt(replica.take(wal.begin_index())));
}
