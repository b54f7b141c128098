#include "shared/net/http_parser.h"

#include <algorithm>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/none.hpp>

#include "shared/base/text.h"

namespace litestream {
namespace {

namespace http = boost::beast::http;
using Code = boost::system::error_code;
using RequestParser = http::request_parser<http::empty_body>;

std::string text_of(boost::beast::string_view text) { return {text.data(), text.size()}; }

ParsedRequest refuse(unsigned status, std::string why) {
    ParsedRequest parsed;
    parsed.refusal = status;
    parsed.why = std::move(why);
    return parsed;
}

// Tells a stranger's protocol (TLS on a plain port, say) by its first bytes, without waiting for a blank
// line.
bool begins_like_a_request(std::string_view text) {
    constexpr std::size_t kMaxMethodSize = 16;
    const std::string_view method = text.substr(0, std::min(text.find(' '), text.size()));
    const auto is_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
    return method.size() <= kMaxMethodSize && std::all_of(method.begin(), method.end(), is_upper);
}

ParsedRequest refuse(const Code& error) {
    if (error == http::error::header_limit) return refuse(431, "the request's header is above 8 KiB");
    if (error == http::error::body_limit) return refuse(413, "a request with a body is not taken");
    return refuse(400, "the request cannot be understood: " + error.message());
}

void take_headers(RequestParser& parser, HttpRequest& request) {
    for (const auto& field : parser.get()) {
        std::string name = to_lower(text_of(field.name_string()));
        // RFC 9110, 7.8: an upgrade counts only where Connection names it, and never for HTTP/1.0.
        if (name == "upgrade" && (!parser.upgrade() || parser.get().version() < 11)) continue;
        request.headers.emplace_back(std::move(name), text_of(field.value()));
    }
}

ParsedRequest take_request(RequestParser& parser, std::size_t size_bytes) {
    if (parser.chunked() || parser.content_length().value_or(0) > 0) {
        return refuse(413, "a request with a body is not taken");
    }
    const unsigned version = parser.get().version();
    if (version != 10 && version != 11) return refuse(505, "only HTTP/1.0 and HTTP/1.1 are spoken");
    const std::size_t hosts = parser.get().count(http::field::host);
    if (hosts > 1 || (hosts == 0 && version == 11)) return refuse(400, "exactly one Host header is needed");
    ParsedRequest parsed;
    parsed.size_bytes = size_bytes;
    parsed.is_http_1_0 = version == 10;
    parsed.wants_keep_alive = parser.keep_alive();
    parsed.request.method = text_of(parser.get().method_string());
    take_headers(parser, parsed.request);
    const Status decoded = decode_target(text_of(parser.get().target()), parsed.request);
    if (!decoded) return refuse(400, decoded.error().message);
    return parsed;
}

}  // namespace

std::optional<ParsedRequest> parse_request(ByteView bytes) {
    const std::string_view text = as_text(bytes.first(std::min(bytes.size(), kMaxRequestHeaderSize)));
    if (!begins_like_a_request(text)) return refuse(400, "the request cannot be understood");
    const std::size_t end = text.find("\r\n\r\n");
    if (end == std::string_view::npos) {
        if (text.size() < kMaxRequestHeaderSize) return std::nullopt;
        return refuse(431, "the request's header is above 8 KiB");
    }
    const std::size_t size = end + 4;
    RequestParser parser;
    parser.header_limit(kMaxRequestHeaderSize);
    parser.body_limit(std::uint64_t{0});
    parser.eager(false);
    for (std::size_t done = 0; !parser.is_header_done();) {
        Code error;
        const std::size_t taken = parser.put(boost::asio::buffer(text.data() + done, size - done), error);
        done += taken;
        if (error && error != http::error::need_more) return refuse(error);
        if (taken == 0 && !parser.is_header_done()) return refuse(400, "the request cannot be understood");
    }
    return take_request(parser, size);
}

struct ResponseParser::Impl {
    http::response_parser<http::buffer_body> parser;
};

ResponseParser::ResponseParser() : impl_(std::make_unique<Impl>()) {
    impl_->parser.header_limit(static_cast<std::uint32_t>(kMaxResponseHeaderSize));
    impl_->parser.body_limit(boost::none);
    impl_->parser.eager(false);
}

ResponseParser::~ResponseParser() = default;

Result<std::size_t> ResponseParser::put_header(ByteView bytes) {
    std::size_t done = 0;
    while (!has_header() && done < bytes.size()) {
        Code error;
        const ByteView rest = bytes.subspan(done);
        const std::size_t taken = impl_->parser.put(boost::asio::buffer(rest.data(), rest.size()), error);
        done += taken;
        if (error && error != http::error::need_more) return Error{ErrorCode::kIo, error.message()};
        if (taken == 0) break;
    }
    return done;
}

bool ResponseParser::has_header() const { return impl_->parser.is_header_done(); }
unsigned ResponseParser::status() const { return impl_->parser.get().result_int(); }

std::string ResponseParser::header(const std::string& name) const {
    return text_of(impl_->parser.get()[name]);
}

Result<ResponseParser::Step> ResponseParser::put_body(ByteView bytes, ByteSpan out) {
    Step step;
    while (!is_done() && step.consumed < bytes.size() && step.produced < out.size()) {
        auto& body = impl_->parser.get().body();
        const ByteSpan room = out.subspan(step.produced);
        const ByteView rest = bytes.subspan(step.consumed);
        body.data = room.data();
        body.size = room.size();
        Code error;
        const std::size_t taken = impl_->parser.put(boost::asio::buffer(rest.data(), rest.size()), error);
        const std::size_t produced = room.size() - body.size;
        step.consumed += taken;
        step.produced += produced;
        if (error && error != http::error::need_more && error != http::error::need_buffer) {
            return Error{ErrorCode::kIo, "the answer cannot be understood: " + error.message()};
        }
        if (taken == 0 && produced == 0) break;
    }
    return step;
}

Status ResponseParser::put_end() {
    if (is_done()) return {};
    Code error;
    impl_->parser.put_eof(error);
    if (error || !is_done()) return Error{ErrorCode::kIo, "the connection ended early"};
    return {};
}

bool ResponseParser::is_done() const { return impl_->parser.is_done(); }

}  // namespace litestream
