#include "shared/format/stream_message.h"

#include "tests/fuzz/check.h"

using namespace litestream;

namespace {

// One spelling for each value: what decodes encodes to the same bytes.
template <typename Message>
void check_body(ByteView body) {
    const auto message = Message::decode(body);
    if (!message) return;
    const Bytes again = message->encode();
    claim(again.size() == kMessageHeaderSize + body.size());
    claim(std::equal(body.begin(), body.end(), again.begin() + kMessageHeaderSize));
}

void check_header(ByteView bytes) {
    const auto header = MessageHeader::decode(bytes);
    if (!header) return;
    Bytes again;
    header->append_to(again);
    claim(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()));
}

}  // namespace

// The first 16 bytes are a header, whatever follows is every body in turn.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView bytes(data, size);
    const std::size_t cut = std::min(size, kMessageHeaderSize);
    check_header(bytes.first(cut));
    const ByteView body = bytes.subspan(cut);
    check_body<Hello>(body);
    check_body<Welcome>(body);
    check_body<Heartbeat>(body);
    check_body<Ack>(body);
    return 0;
}
