#include "shared/stream/stream_request.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "shared/base/text.h"
#include "shared/format/stream_message.h"
#include "shared/format/wal.h"

namespace litestream {
namespace {

std::string parenthesis(const std::string& text) { return text.empty() ? "" : " (it says: " + text + ")"; }

std::string number(std::uint32_t value) { return std::to_string(value); }

}  // namespace

HttpGet stream_request(const StreamSource& source, const Position& position) {
    HttpGet get;
    get.url = source.url;
    get.target = "/stream?path=" + encode_query_value(source.path);
    if (!position.empty() && position.offset != 0) {
        get.target += "&generation=" + position.generation + "&index=" + to_hex16(position.index);
    }
    if (!source.token.empty()) get.headers.emplace_back("Authorization", "Bearer " + source.token);
    get.upgrade = kStreamProtocol;
    get.read_timeout_ms = source.limits.silence_ms;
    return get;
}

std::string server_of(const StreamSource& source) {
    const Url& url = source.url;
    return url.scheme + "://" + url.host + (url.port.empty() ? "" : ":" + url.port);
}

Error refusal_of(const StreamSource& source, unsigned status, const std::string& text) {
    const std::string server = server_of(source);
    const std::string says = parenthesis(text);
    switch (status) {
        case 400:
            return bad_input(server + " does not understand the request for " + source.path + says);
        case 401:
            return bad_input(server + " wants a token, and " +
                             (source.token.empty() ? "none was given" : "refuses the one that was given") +
                             ": use the option token_file or LITESTREAM_TOKEN" + says);
        case 403:
            return bad_input(server +
                             " refuses this client: without a token it serves its own machine only, "
                             "under the names localhost, 127.0.0.1 and [::1]" +
                             says);
        case 404:
            return bad_input(server + " serves no database " + source.path + ": use " + server +
                             "/PATH with the absolute path that it has there" + says);
        case 409:
            return bad_input(server + " serves several databases of the name " + source.path +
                             ": give the whole path" + says);
        case 503:
            return {ErrorCode::kIo,
                    server + " has nothing of " + source.path + " to send yet; try again" + says};
        default:
            break;
    }
    const std::string hint = status / 100 == 3 ? "; redirects are not followed, give the URL itself" : "";
    return {ErrorCode::kIo, server + " answers with status " + std::to_string(status) + hint + says};
}

Result<std::uint32_t> read_page_size(const std::string& header) {
    std::uint32_t size = 0;
    const char* const end = header.data() + header.size();
    const auto [stop, error] = std::from_chars(header.data(), end, size);
    const bool is_number = error == std::errc() && stop == end;
    if (!is_number || (size != 0 && !is_page_size(size))) return bad_input("is no Litestream server");
    if (size == 0) return Error{ErrorCode::kIo, "does not know the database's page size yet; try again"};
    return size;
}

Status check_page_size(std::uint32_t replica, std::uint32_t primary) {
    if (replica == 0 || primary == 0 || replica == primary) return {};
    return bad_input("page size mismatch: replica " + number(replica) + ", primary " + number(primary) +
                     ": a database keeps the page size that it has; follow with an empty database instead");
}

std::string printable_line(ByteView text) {
    std::string line(as_text(text).substr(0, kMaxRefusalText));
    line.resize(std::min(line.size(), line.find_first_of("\r\n")));
    for (char& c : line) {
        if (c < ' ' || c > '~') c = '?';
    }
    return line;
}

}  // namespace litestream
