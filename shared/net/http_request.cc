// Targets of requests: percent-decoding, both ways, and looking things up.
#include <algorithm>

#include "shared/base/text.h"
#include "shared/net/http_client.h"
#include "shared/net/http_parser.h"

namespace litestream {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

const std::string& value_of(const Pairs& pairs, const std::string& key) {
    static const std::string kNone;
    const auto found =
        std::find_if(pairs.begin(), pairs.end(), [&](const auto& pair) { return pair.first == key; });
    return found == pairs.end() ? kNone : found->second;
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

enum class Plus : std::uint8_t { kPlain, kSpace };  // in a query, '+' is a space

Result<std::string> decode(std::string_view text, Plus plus) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); i++) {
        char c = text[i];
        if (c == '+' && plus == Plus::kSpace) c = ' ';
        if (c == '%') {
            const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
            const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0) return bad_input("'%' must be followed by two hex digits");
            c = static_cast<char>(high << 4 | low);
            i += 2;
        }
        if (c == '\0') return bad_input("the target holds a NUL");
        decoded += c;
    }
    return decoded;
}

Status decode_query(std::string_view query, Pairs& out) {
    while (!query.empty()) {
        const std::string_view item = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(item.size() + 1, query.size()));
        if (item.empty()) continue;
        const std::size_t equals = std::min(item.find('='), item.size());
        LITESTREAM_ASSIGN(std::string key, decode(item.substr(0, equals), Plus::kSpace));
        const std::string_view rest = item.substr(std::min(equals + 1, item.size()));
        LITESTREAM_ASSIGN(std::string value, decode(rest, Plus::kSpace));
        out.emplace_back(std::move(key), std::move(value));
    }
    return {};
}

// "http://host:port/path?query", which a proxy's client sends, is the same request.
std::string_view without_authority(std::string_view target) {
    if (target.starts_with('/')) return target;
    const std::size_t scheme = target.find("://");
    if (scheme == std::string_view::npos) return target;
    const std::size_t path = target.find_first_of("/?", scheme + 3);
    return path == std::string_view::npos ? "/" : target.substr(path);
}

}  // namespace

const std::string& HttpRequest::header(const std::string& lower_case_name) const {
    return value_of(headers, lower_case_name);
}
const std::string& HttpRequest::query_value(const std::string& key) const { return value_of(query, key); }

Status decode_target(std::string_view target, HttpRequest& request) {
    const std::string_view text = without_authority(target);
    const std::size_t question = std::min(text.find('?'), text.size());
    LITESTREAM_ASSIGN(request.path, decode(text.substr(0, question), Plus::kPlain));
    if (request.path.empty()) request.path.push_back('/');
    if (!request.path.starts_with('/')) return bad_input("the target must begin with '/'");
    return decode_query(text.substr(std::min(question + 1, text.size())), request.query);
}

std::string encode_query_value(const std::string& text) { return percent_encode(text, ""); }

}  // namespace litestream
