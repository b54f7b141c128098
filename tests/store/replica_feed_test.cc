// Segments that a live replica receives: what it takes, what it refuses, and what its own store then has.
#include "shared/store/replica_feed.h"

#include <doctest/doctest.h>

#include "tests/store/feed_fixture.h"

using namespace litestream;

TEST_CASE("segments go into the database and into the store, byte for byte") {
    Followed replica;
    REQUIRE(replica.take(replica.wal.begin_index()));

    const WalMaker::Segment first = replica.wal.commit_and_cut();
    REQUIRE(replica.take(first));
    REQUIRE(replica.take(replica.wal.commit_and_cut()));

    CHECK(replica.shows(replica.wal));
    CHECK(replica.feed->state().time_ms == replica.wal.time_ms());
    CHECK(replica.store.end() == replica.wal.end());
    CHECK(replica.stored({kGeneration, 0, 0}) == first.payload);
    CHECK(replica.starts_after({kGeneration, 0, 0}) == std::vector<std::uint64_t>{32, 32 + kCommit});
}

TEST_CASE("the commits of one segment show together, each with its own position and time") {
    Followed replica;
    REQUIRE(replica.take(replica.wal.begin_index()));
    replica.wal.commit();
    replica.wal.commit();

    REQUIRE(replica.take(replica.wal.cut()));

    CHECK(replica.target.commits == 2);
    CHECK(replica.target.flushes == 1);
    CHECK(replica.shows(replica.wal));
}

TEST_CASE("header and frames may come in one segment, which is stored as two") {
    Followed replica;
    replica.wal.begin_index();
    replica.wal.commit();

    REQUIRE(replica.take(replica.wal.cut(true)));

    CHECK(replica.shows(replica.wal));
    CHECK(replica.starts_after({kGeneration, 0, 0}) == std::vector<std::uint64_t>{32});
    const Bytes file = replica.stored({kGeneration, 0, 0});
    MemorySource source(file);
    Bytes content;
    const auto trailer = read_payload(source, append_to(content));
    REQUIRE(trailer);
    CHECK((*trailer)->start_offset == 32);
    CHECK(content.size() == kCommit);
}

TEST_CASE("a new index is taken where its trailer names the end of the one before") {
    Followed replica;
    REQUIRE(replica.take(replica.wal.begin_index()));
    REQUIRE(replica.take(replica.wal.commit_and_cut()));

    SUBCASE("with the header alone first") { REQUIRE(replica.take(replica.wal.begin_index())); }
    SUBCASE("header and frames in one") { replica.wal.begin_index(); }
    replica.wal.commit();
    const bool is_whole = replica.at().index == 0;
    REQUIRE(replica.take(replica.wal.cut(is_whole)));

    CHECK(replica.shows(replica.wal));
    CHECK(replica.at().index == 1);
    CHECK(replica.store.end() == replica.wal.end());
}

TEST_CASE("a new index that names another end of the one before is refused") {
    Followed replica;
    REQUIRE(replica.take(replica.wal.begin_index()));
    REQUIRE(replica.take(replica.wal.commit_and_cut()));
    const Bytes before = replica.target.database;
    REQUIRE(replica.take(replica.wal.begin_index()));
    SUBCASE("end") {
        replica.wal.edit = [](Trailer& trailer) { trailer.previous_end += kCommit; };
    }
    SUBCASE("checksum") {
        replica.wal.edit = [](Trailer& trailer) { trailer.previous_checksum.s0 ^= 1; };
    }

    CHECK(is_corrupt(replica.take(replica.wal.commit_and_cut())));
    CHECK(replica.target.database == before);
}

TEST_CASE("a gap, another generation and another index are refused by name") {
    Followed replica;
    REQUIRE(replica.take(replica.wal.begin_index()));
    REQUIRE(replica.take(replica.wal.commit_and_cut()));
    const Position at = replica.at();
    replica.wal.commit_and_cut();
    WalMaker::Segment later = replica.wal.commit_and_cut();

    CHECK(message(replica.take(later)) == "segment " +
                                              Position{kGeneration, 0, 32 + 2 * kCommit}.to_string() +
                                              ": does not follow " + at.to_string());
    CHECK(is_corrupt(replica.take(later, "00000000000000bb")));
    later.index = 2;
    CHECK(is_corrupt(replica.take(later)));
    CHECK(replica.at() == at);
}

TEST_CASE("what is there already is passed over, also where a segment begins earlier") {
    Followed replica;
    const auto header = replica.wal.begin_index();
    WalMaker twin = replica.wal;
    REQUIRE(replica.take(header));
    const auto first = replica.wal.commit_and_cut();
    REQUIRE(replica.take(first));
    twin.commit();
    twin.commit();

    CHECK(replica.take(header));
    CHECK(replica.take(first));
    CHECK(replica.target.commits == 1);
    SUBCASE("from behind the header") { REQUIRE(replica.take(twin.cut())); }
    SUBCASE("from the header on") { REQUIRE(replica.take(twin.cut(true))); }

    CHECK(replica.shows(twin));
    CHECK(replica.target.commits == 2);
    CHECK(replica.store.end() == twin.end());
}

TEST_CASE("a segment of an earlier index is passed over") {
    Followed replica;
    const auto header = replica.wal.begin_index();
    REQUIRE(replica.take(header));
    const auto first = replica.wal.commit_and_cut();
    REQUIRE(replica.take(first));
    REQUIRE(replica.take(replica.wal.begin_index()));
    REQUIRE(replica.take(replica.wal.commit_and_cut()));

    CHECK(replica.take(header));
    CHECK(replica.take(first));
    CHECK(replica.shows(replica.wal));
}

TEST_CASE("another header for the same index is refused") {
    Followed replica;
    WalMaker stranger(kGeneration);
    REQUIRE(replica.take(replica.wal.begin_index()));
    stranger.begin_index();
    stranger.commit_and_cut();
    auto header = stranger.begin_index();
    header.index = 0;

    CHECK(is_corrupt(replica.take(header)));
}

TEST_CASE("of a segment with one flipped byte nothing shows") {
    Followed replica;
    REQUIRE(replica.take(replica.wal.begin_index()));
    REQUIRE(replica.take(replica.wal.commit_and_cut()));
    const SourceState state = replica.feed->state();
    const Bytes before = replica.target.database;
    SUBCASE("with a trailer") {}
    SUBCASE("without") { replica.wal.has_trailers = false; }
    auto segment = replica.wal.commit_and_cut();

    for (std::size_t i = 0; i < segment.payload.size(); ++i) {
        CAPTURE(i);
        segment.payload[i] ^= 0x10;
        CHECK(!replica.take(segment));
        segment.payload[i] ^= 0x10;
        REQUIRE(replica.target.database == before);
        REQUIRE(replica.feed->state() == state);
    }

    CHECK(replica.target.flushes == 1);
    CHECK(replica.take(segment));
    CHECK(replica.shows(replica.wal));
}

TEST_CASE("of a segment that is cut off nothing shows") {
    Followed replica;
    REQUIRE(replica.take(replica.wal.begin_index()));
    const auto segment = replica.wal.commit_and_cut();

    // Without its trailer it is whole: nothing is missing from the frames.
    const std::size_t whole = segment.payload.size() - replica.wal.last_trailer.encode().size();
    for (std::size_t size = 0; size < segment.payload.size(); ++size) {
        if (size == whole) continue;
        auto part = segment;
        part.payload.resize(size);
        CHECK(!replica.take(part));
    }

    CHECK(replica.target.flushes == 0);
    CHECK(replica.at() == Position{kGeneration, 0, 32});
}

TEST_CASE("a trailer that does not belong to the frames is refused") {
    Followed replica;
    REQUIRE(replica.take(replica.wal.begin_index()));
    REQUIRE(replica.take(replica.wal.commit_and_cut()));
    SUBCASE("generation") {
        replica.wal.edit = [](Trailer& t) { t.generation = "00000000000000bb"; };
    }
    SUBCASE("index") {
        replica.wal.edit = [](Trailer& t) { ++t.index; };
    }
    SUBCASE("kind") {
        replica.wal.edit = [](Trailer& t) { t.kind = Trailer::Kind::kSnapshot; };
    }
    SUBCASE("end checksum") {
        replica.wal.edit = [](Trailer& t) { t.end_checksum.s1 ^= 1; };
    }
    SUBCASE("salts") {
        replica.wal.edit = [](Trailer& t) { t.salts[0] ^= 1; };
    }
    SUBCASE("page size") {
        replica.wal.edit = [](Trailer& t) { t.page_size *= 2; };
    }
    SUBCASE("page count") {
        replica.wal.edit = [](Trailer& t) { ++t.page_count; };
    }
    SUBCASE("a commit where none ends") {
        replica.wal.edit = [](Trailer& t) {
            t.commits.insert(t.commits.begin(), {t.commits.front().end_offset - kCommit / 2, 1});
        };
    }

    CHECK(is_corrupt(replica.take(replica.wal.commit_and_cut())));
    CHECK(replica.target.commits == 1);
}

TEST_CASE("segments without a trailer get one of ours") {
    Followed replica;
    replica.wal.has_trailers = false;
    REQUIRE(replica.take(replica.wal.begin_index()));
    replica.wal.commit();
    replica.wal.commit();

    REQUIRE(replica.take(replica.wal.cut()));

    CHECK(replica.shows(replica.wal));
    CHECK(replica.feed->state().time_ms == 77);
    const Bytes file = replica.stored({kGeneration, 0, 0});
    MemorySource source(file);
    const auto trailer = read_payload(source, [](ByteView) { return Status(); });
    REQUIRE(trailer);
    REQUIRE(trailer->has_value());
    CHECK((*trailer)->end() == replica.wal.end());
    CHECK((*trailer)->commits == std::vector<Commit>{{32 + kCommit, 77}, {32 + 2 * kCommit, 77}});
}
