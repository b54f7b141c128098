#include "shared/net/http_client.h"
#include "shared/net/http_parser.h"
#include "tests/fuzz/check.h"

using namespace litestream;

namespace {

void check_request(ByteView bytes) {
    const auto parsed = parse_request(bytes);
    if (!parsed) return;
    if (parsed->refusal != 0) return claim(parsed->refusal >= 400 && !parsed->why.empty());
    claim(parsed->size_bytes <= bytes.size() && parsed->size_bytes <= kMaxRequestHeaderSize);
    claim(parsed->request.path.starts_with('/') && parsed->request.path.find('\0') == std::string::npos);
    // What follows a request changes nothing about it.
    const auto alone = parse_request(bytes.first(parsed->size_bytes));
    claim(alone && alone->refusal == 0 && alone->request.path == parsed->request.path);
}

void check_target(std::string_view text) {
    HttpRequest request;
    if (decode_target(text, request)) claim(request.path.starts_with('/'));
    if (text.find('\0') != std::string_view::npos) return;
    HttpRequest back;
    claim(decode_target("/?k=" + encode_query_value(std::string(text)), back).has_value());
    claim(back.query_value("k") == text);
}

// Fed in pieces of `piece` bytes, as a socket might.
void check_response(ByteView bytes, std::size_t piece) {
    ResponseParser parser;
    const auto header = parser.put_header(bytes);
    if (!header || !parser.has_header()) return;
    claim(*header <= bytes.size());
    ByteView rest = bytes.subspan(*header);
    Bytes out(64);
    std::size_t offered = 0;
    while (!parser.is_done() && offered < rest.size()) {
        offered = std::min(rest.size(), offered + piece);
        const auto step = parser.put_body(rest.first(offered), out);
        if (!step) return;
        claim(step->consumed <= offered && step->produced <= out.size());
        rest = rest.subspan(step->consumed);
        offered = step->consumed > 0 ? 0 : offered;
    }
    (void)parser.put_end().has_value();
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView bytes(data, size);
    check_request(bytes);
    check_target(as_text(bytes));
    check_response(bytes, 1);
    check_response(bytes, 1024);
    return 0;
}
