#include "shared/format/path.h"

#include <doctest/doctest.h>

using namespace litestream;

namespace {

constexpr std::string_view kGeneration = "29cf4bced74e92ab";

std::string_view last_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

TEST_CASE("paths are Litestream's") {
    CHECK(generations_path() == "generations");
    CHECK(generation_path(kGeneration) == "generations/29cf4bced74e92ab");
    CHECK(snapshots_path(kGeneration) == "generations/29cf4bced74e92ab/snapshots");
    CHECK(snapshot_path(kGeneration, 1) ==
          "generations/29cf4bced74e92ab/snapshots/0000000000000001.snapshot.lz4");
    CHECK(wal_path(kGeneration) == "generations/29cf4bced74e92ab/wal");
    CHECK(index_path(kGeneration, 0x7fffffff) == "generations/29cf4bced74e92ab/wal/000000007fffffff");
    CHECK(segment_path(kGeneration, 1, 0x1038) ==
          "generations/29cf4bced74e92ab/wal/0000000000000001/0000000000001038.wal.lz4");
}

TEST_CASE("names parse back to what they were made of") {
    CHECK(*parse_index_name(last_name(index_path(kGeneration, 0x12345))) == 0x12345);
    CHECK(*parse_segment_name(last_name(segment_path(kGeneration, 0, 0x7fffffffffffffff))) ==
          0x7fffffffffffffff);
    const auto snapshot = parse_snapshot_name(last_name(snapshot_path(kGeneration, 5)));
    REQUIRE(snapshot);
    CHECK(snapshot->index == 5);
    CHECK_FALSE(snapshot->is_v3);
}

TEST_CASE("names of Litestream 0.3 have eight digits") {
    CHECK(parse_snapshot_name("0000000a.snapshot.lz4")->index == 10);
    CHECK(parse_snapshot_name("0000000a.snapshot.lz4")->is_v3);
    CHECK(*parse_v3_segment_name("00000001_000ae058.wal.lz4") ==
          std::pair<std::uint64_t, std::uint64_t>(1, 0xae058));
    CHECK(*parse_v3_segment_name("00000001_123456789.wal.lz4") ==
          std::pair<std::uint64_t, std::uint64_t>(1, 0x123456789));
}

TEST_CASE("temporary files, strangers and other spellings are no names") {
    for (const char* name : {"", "1", "000000000000001", "00000000000000001", "000000000000000A",
                             "0000000080000000", "0000000000000001.tmp", "..", "00000000-0000001"}) {
        CHECK_FALSE(parse_index_name(name));
    }
    for (const char* name :
         {"", ".wal.lz4", "0000000000000020", "20.wal.lz4", "0000000000000020.wal",
          "0000000000000020.wal.lz4.tmp", "8000000000000000.wal.lz4", "000000000000002G.wal.lz4",
          "00000000_00000000.wal.lz4", "0000000000000020.snapshot.lz4"}) {
        CHECK_FALSE(parse_segment_name(name));
    }
    for (const char* name : {"", ".snapshot.lz4", "1.snapshot.lz4", "000000001.snapshot.lz4",
                             "0000000000000001.snapshot.lz4.tmp", "0000000080000000.snapshot.lz4",
                             "80000000.snapshot.lz4", "0000000000000001.wal.lz4"}) {
        CHECK_FALSE(parse_snapshot_name(name));
    }
    for (const char* name :
         {"", "00000000.wal.lz4", "00000000-00000000.wal.lz4", "00000000_0000000.wal.lz4",
          "0000000_00000000.wal.lz4", "80000000_00000000.wal.lz4", "00000000_000000000.wal.lz4",
          "00000000_8000000000000000.wal.lz4", "00000000_00000000.wal"}) {
        CHECK_FALSE(parse_v3_segment_name(name));
    }
}
