#include "shared/format/stream_message.h"

#include <doctest/doctest.h>

#include "tests/format/samples.h"

using namespace litestream;

namespace {

const Position kOne{"f91d0f6a327c46d2", 3, 0x1038};
const Position kTwo{"f91d0f6a327c46d2", 4, 32};

ByteView body_of(const Bytes& message) { return ByteView(message).subspan(kMessageHeaderSize); }

// The header says what follows it; the body comes back, cut or with a turned bit it is refused or another.
template <typename Message>
void check_body(const Message& message, MessageType type) {
    const Bytes bytes = message.encode();
    const auto header = MessageHeader::decode(ByteView(bytes).first(kMessageHeaderSize));
    REQUIRE(header);
    CHECK(header->type == type);
    CHECK(header->size_bytes == bytes.size() - kMessageHeaderSize);

    const Bytes body(bytes.begin() + kMessageHeaderSize, bytes.end());
    REQUIRE(Message::decode(body));
    CHECK(Message::decode(body)->encode() == bytes);
    for_each_truncation(body, [](const Bytes& cut) { CHECK_FALSE(Message::decode(cut)); });
    for_each_flip(body, [](const Bytes& flipped) {
        const auto other = Message::decode(flipped);
        if (!other) return;
        const Bytes again = other->encode();
        CHECK(Bytes(again.begin() + kMessageHeaderSize, again.end()) == flipped);
    });
}

Bytes header_bytes(MessageType type, std::uint64_t size_bytes) {
    Bytes out;
    MessageHeader{type, size_bytes}.append_to(out);
    return out;
}

bool is_accepted(MessageType type, std::uint64_t size_bytes) {
    return MessageHeader::decode(header_bytes(type, size_bytes)).has_value();
}

}  // namespace

TEST_CASE("hello has its bytes, and none is all zero") {
    CHECK(Hello{kOne}.encode() == from_hex("00000001 00000000 0000000000000018"
                                           "f91d0f6a327c46d2 0000000000000003 0000000000001038"));
    CHECK(Hello{}.encode() == from_hex("00000001 00000000 0000000000000018"
                                       "0000000000000000 0000000000000000 0000000000000000"));
    const Bytes none = Hello{}.encode();
    CHECK(Hello::decode(body_of(none))->position.empty());
}

TEST_CASE("messages of a fixed form come back as they were") {
    check_body(Hello{kOne}, MessageType::kHello);
    check_body(Hello{}, MessageType::kHello);
    check_body(Welcome{1'800'000'000'000, kOne, 4096, true}, MessageType::kWelcome);
    check_body(Welcome{-1, {}, 0, false}, MessageType::kWelcome);
    check_body(Heartbeat{1, kTwo}, MessageType::kHeartbeat);
    check_body(Ack{kTwo, kOne, {}}, MessageType::kAck);
}

TEST_CASE("the fields of a welcome and of an acknowledgement keep their order") {
    const Bytes welcome = Welcome{7, kOne, 65536, true}.encode();
    const Bytes ack = Ack{kTwo, kOne, {}}.encode();

    const auto heard = Welcome::decode(body_of(welcome));
    CHECK(heard->time_ms == 7);
    CHECK(heard->end == kOne);
    CHECK(heard->page_size == 65536);
    CHECK(heard->sends_snapshot);
    const auto acked = Ack::decode(body_of(ack));
    CHECK(acked->received == kTwo);
    CHECK(acked->durable == kOne);
    CHECK(acked->applied.empty());
}

TEST_CASE("a length that a type cannot have is refused") {
    CHECK(is_accepted(MessageType::kAlive, 0));
    CHECK_FALSE(is_accepted(MessageType::kAlive, 1));
    CHECK_FALSE(is_accepted(MessageType::kHello, 23));
    CHECK(is_accepted(MessageType::kError, kMaxErrorText));
    CHECK_FALSE(is_accepted(MessageType::kError, kMaxErrorText + 1));
    CHECK_FALSE(is_accepted(MessageType::kSegment, 23));
    CHECK(is_accepted(MessageType::kSegment, std::uint64_t{8} << 30));
    CHECK_FALSE(is_accepted(MessageType::kSegment, (std::uint64_t{8} << 30) + 25));
    CHECK_FALSE(is_accepted(MessageType::kSnapshot, 3));
    CHECK_FALSE(is_accepted(MessageType::kSnapshot, UINT64_MAX));
}

TEST_CASE("a message header cut or with a turned bit is refused or is another one") {
    const Bytes whole = header_bytes(MessageType::kSegment, 1000);
    for_each_truncation(whole, [](const Bytes& bytes) { CHECK_FALSE(MessageHeader::decode(bytes)); });
    for_each_flip(whole, [](const Bytes& bytes) {
        const auto header = MessageHeader::decode(bytes);
        if (header) CHECK(header_bytes(header->type, header->size_bytes) == bytes);
    });
    CHECK(MessageHeader::decode(from_hex("00000009 00000000 0000000000000000")).error().message ==
          "stream message: unknown type 9");
}

TEST_CASE("a position without a generation, or too far out, is refused") {
    CHECK_FALSE(decode_position(from_hex("0000000000000000 0000000000000000 0000000000000001")));
    CHECK_FALSE(decode_position(from_hex("0000000000000001 0000000080000000 0000000000000000")));
    CHECK_FALSE(decode_position(from_hex("0000000000000001 0000000000000000 8000000000000000")));
}

TEST_CASE("an error text is cut at its limit") {
    CHECK(encode_error("no") == from_hex("00000007 00000000 0000000000000002 6e6f"));
    CHECK(encode_error(std::string(5000, 'x')).size() == kMessageHeaderSize + kMaxErrorText);
}
