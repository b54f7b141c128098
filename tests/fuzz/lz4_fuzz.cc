#include "shared/format/lz4.h"
#include "tests/fuzz/check.h"

using namespace litestream;

namespace {

constexpr std::size_t kLimit = 16u << 20;

Status decompress(ByteView frame, std::size_t piece_bytes, Bytes& out) {
    MemorySource source(frame);
    Lz4Reader reader(source);
    Bytes buffer(piece_bytes);
    const Sink sink = append_up_to(out, kLimit);
    while (true) {
        LITESTREAM_ASSIGN(const std::size_t n, reader.read(buffer));
        if (n == 0) return {};
        LITESTREAM_TRY(sink(ByteView(buffer).first(n)));
    }
}

}  // namespace

// Whatever decompresses does so in pieces of any size, and survives being compressed again.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Bytes content;
    const bool is_valid = decompress({data, size}, 64u << 10, content).has_value();
    Bytes in_small_pieces;
    claim(decompress({data, size}, 997, in_small_pieces).has_value() == is_valid);
    if (!is_valid) return 0;
    claim(in_small_pieces == content);

    Bytes again;
    Lz4Writer writer(append_to(again));
    claim(writer.write(content).has_value() && writer.finish().has_value());
    Bytes back;
    claim(decompress(again, 64u << 10, back).has_value() && back == content);
    return 0;
}
