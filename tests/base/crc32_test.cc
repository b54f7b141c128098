#include "shared/base/crc32.h"

#include <doctest/doctest.h>

#include <boost/crc.hpp>
#include <random>

using namespace litestream;

TEST_CASE("the check value of CRC-32 comes out") {
    CHECK(crc32(0, as_bytes("123456789")) == 0xCBF43926);
    CHECK(crc32(0, {}) == 0);
}

TEST_CASE("a checksum goes on where an earlier piece ended, wherever the cut is") {
    const std::string text = "a text that is longer than the eight bytes of a step";
    const std::uint32_t whole = crc32(0, as_bytes(text));

    for (std::size_t cut = 0; cut <= text.size(); cut++) {
        const std::uint32_t first = crc32(0, as_bytes(text).first(cut));
        CHECK(crc32(first, as_bytes(text).subspan(cut)) == whole);
    }
}

TEST_CASE("every length agrees with another implementation") {
    std::mt19937 random(1);
    Bytes bytes;

    for (int size = 0; size < 200; size++) {
        boost::crc_32_type other;
        other.process_bytes(bytes.data(), bytes.size());
        CHECK(crc32(0, bytes) == other.checksum());
        bytes.push_back(static_cast<std::uint8_t>(random()));
    }
}
