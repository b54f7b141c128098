#include "shared/format/checksum.h"

#include <doctest/doctest.h>

#include <random>

using namespace litestream;

namespace {

// The definition, one pair of words at a time.
WalChecksum plain_checksum(WalChecksum sum, ByteView bytes, WordOrder order) {
    for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
        const auto load = order == WordOrder::kBig ? load_be32 : load_le32;
        sum.s0 += load(bytes.data() + at) + sum.s1;
        sum.s1 += load(bytes.data() + at + 4) + sum.s0;
    }
    return sum;
}

}  // namespace

TEST_CASE("the checksum of nothing is its seed") {
    CHECK(wal_checksum({3, 4}, {}, WordOrder::kLittle) == WalChecksum{3, 4});
}

TEST_CASE("words are read in the order that is named") {
    const std::uint8_t bytes[8] = {1, 0, 0, 0, 2, 0, 0, 0};

    CHECK(wal_checksum({}, bytes, WordOrder::kLittle) == WalChecksum{1, 3});
    CHECK(wal_checksum({}, bytes, WordOrder::kBig) == WalChecksum{0x01000000, 0x03000000});
}

TEST_CASE("every length agrees with the definition, in both orders, at any alignment") {
    std::mt19937 random(1);
    Bytes bytes(1 + 400);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());

    for (std::size_t size = 0; size < 400; size += 8) {
        const ByteView view = ByteView(bytes).subspan(1, size);
        for (const WordOrder order : {WordOrder::kLittle, WordOrder::kBig}) {
            CHECK(wal_checksum({5, 6}, view, order) == plain_checksum({5, 6}, view, order));
        }
    }
}

TEST_CASE("a checksum goes on where an earlier piece ended") {
    const Bytes bytes(128, 0xA7);
    const WalChecksum first = wal_checksum({}, ByteView(bytes).first(40), WordOrder::kBig);

    CHECK(wal_checksum(first, ByteView(bytes).subspan(40), WordOrder::kBig) ==
          wal_checksum({}, bytes, WordOrder::kBig));
}
