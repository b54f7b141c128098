#include "shared/base/crc32.h"

#include <array>

namespace litestream {
namespace {

// Eight bytes a step, one table for each (slicing). Boost.CRC takes one byte a step: a fifth of the speed,
// which shows in restores, whose every byte passes here. The tests compare the two.
constexpr std::size_t kSlices = 8;
using Tables = std::array<std::array<std::uint32_t, 256>, kSlices>;

constexpr Tables make_tables() {
    constexpr std::uint32_t kReflectedPolynomial = 0xEDB88320;
    Tables tables = {};
    for (std::uint32_t byte = 0; byte < 256; byte++) {
        std::uint32_t value = byte;
        for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ ((value & 1) != 0 ? kReflectedPolynomial : 0);
        tables[0][byte] = value;
    }
    for (std::size_t slice = 1; slice < kSlices; slice++) {
        for (std::size_t byte = 0; byte < 256; byte++) {
            const std::uint32_t value = tables[slice - 1][byte];
            tables[slice][byte] = value >> 8 ^ tables[0][value & 0xFF];
        }
    }
    return tables;
}

constexpr Tables kTables = make_tables();

std::uint32_t step(std::uint32_t state, const std::uint8_t* p) {
    const std::uint32_t a = state ^ load_le32(p);
    const std::uint32_t b = load_le32(p + 4);
    return kTables[7][a & 0xFF] ^ kTables[6][a >> 8 & 0xFF] ^ kTables[5][a >> 16 & 0xFF] ^
           kTables[4][a >> 24] ^ kTables[3][b & 0xFF] ^ kTables[2][b >> 8 & 0xFF] ^
           kTables[1][b >> 16 & 0xFF] ^ kTables[0][b >> 24];
}

}  // namespace

std::uint32_t crc32(std::uint32_t crc, ByteView bytes) {
    std::uint32_t state = ~crc;
    for (; bytes.size() >= kSlices; bytes = bytes.subspan(kSlices)) state = step(state, bytes.data());
    for (const std::uint8_t byte : bytes) state = state >> 8 ^ kTables[0][(state ^ byte) & 0xFF];
    return ~state;
}

}  // namespace litestream
