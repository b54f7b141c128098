#include "shared/format/segment.h"
#include "tests/fuzz/check.h"

using namespace litestream;

// A payload that reads is written again and reads the same.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    MemorySource source({data, size});
    Bytes content;
    auto trailer = read_payload(source, append_up_to(content, 16u << 20));
    if (!trailer) return 0;

    Bytes again;
    PayloadWriter writer(append_to(again));
    claim(writer.write(content).has_value());
    claim(writer.finish(*trailer ? &**trailer : nullptr).has_value());
    claim(writer.size_bytes() == again.size());
    MemorySource second(again);
    Bytes back;
    const auto trailer_back = read_payload(second, append_to(back));
    claim(trailer_back.has_value() && *trailer_back == *trailer && back == content);
    return 0;
}
