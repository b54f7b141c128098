// What the tests of formats share: damage to bytes, compressing and decompressing in one step, a WAL made to
// measure, files of tests/data/format. Reentrant.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "shared/base/file.h"
#include "shared/base/stream.h"
#include "shared/format/lz4.h"
#include "shared/format/wal.h"

namespace litestream {

template <typename Check>
void for_each_truncation(const Bytes& whole, Check check) {
    for (std::size_t size = 0; size < whole.size(); size++) {
        check(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    }
}

// Every byte in turn with one bit turned, and with all.
template <typename Check>
void for_each_flip(const Bytes& whole, Check check) {
    Bytes damaged = whole;
    for (std::size_t at = 0; at < whole.size(); at++) {
        for (const int mask : {1, 0x80, 0xFF}) {
            damaged[at] = static_cast<std::uint8_t>(whole[at] ^ mask);
            check(damaged);
        }
        damaged[at] = whole[at];
    }
}

inline Bytes to_bytes(std::string_view text) { return {text.begin(), text.end()}; }

// "0a ff" -> two bytes.
inline Bytes from_hex(std::string_view text) {
    Bytes bytes;
    std::string digits;
    for (const char c : text) {
        if (c == ' ') continue;
        digits += c;
        if (digits.size() < 2) continue;
        bytes.push_back(static_cast<std::uint8_t>(std::stoi(digits, nullptr, 16)));
        digits.clear();
    }
    return bytes;
}

inline Bytes compress(ByteView content) {
    Bytes out;
    Lz4Writer writer(append_to(out));
    REQUIRE(writer.write(content));
    REQUIRE(writer.finish());
    return out;
}

inline Result<Bytes> decompress(ByteView frame, std::size_t piece_bytes = 1000) {
    MemorySource source(frame);
    Lz4Reader reader(source);
    Bytes out;
    Bytes buffer(piece_bytes);
    while (true) {
        LITESTREAM_ASSIGN(const std::size_t n, reader.read(buffer));
        if (n == 0) return out;
        out.insert(out.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(n));
    }
}

inline Bytes test_file(const std::string& name) {
    auto bytes = read_file(std::string(TEST_DATA) + "/format/" + name, 1u << 20);
    INFO(name);
    REQUIRE(bytes);
    return *std::move(bytes);
}

// A WAL whose frames hold page N of byte N; the frames named in `commits` (from 1) end a transaction.
inline Bytes make_wal(std::uint32_t frames, std::initializer_list<std::uint32_t> commits,
                      WordOrder order = WordOrder::kLittle, std::uint32_t page_size = 512) {
    WalHeader header{order, page_size, 7, {1, 2, 3, 4, 5, 6, 7, 8}, {}};
    const auto encoded = header.encode();
    Bytes wal(encoded.begin(), encoded.end());
    WalChecksum checksum = WalHeader::decode(wal)->checksum;
    for (std::uint32_t no = 1; no <= frames; no++) {
        const Bytes page(page_size, static_cast<std::uint8_t>(no));
        FrameHeader frame{no, 0, header.salts, {}};
        if (std::find(commits.begin(), commits.end(), no) != commits.end()) frame.commit_pages = no;
        std::uint8_t out[kFrameHeaderSize];
        frame.encode(out);
        frame.checksum = checksum = frame_checksum(checksum, out, page, order);
        frame.encode(out);
        wal.insert(wal.end(), out, out + sizeof out);
        wal.insert(wal.end(), page.begin(), page.end());
    }
    return wal;
}

}  // namespace litestream
