#include "shared/base/url.h"

#include <algorithm>
#include <boost/url/encode.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/rfc/pchars.hpp>
#include <boost/url/url_view.hpp>

#include "shared/base/text.h"

namespace litestream {
namespace {

namespace urls = boost::urls;

constexpr std::size_t kMaxUrlSize = 16 * 1024;
constexpr std::size_t kMaxShownSize = 200;
constexpr auto kPathChars = urls::pchars + '/';
constexpr auto kQueryChars = urls::pchars + urls::grammar::lut_chars("/?");

// What a user sees of a URL that cannot be taken: never the query, and nothing where a password may be.
Error url_error(std::string_view text, const std::string& why) {
    if (text.find('@') != std::string_view::npos) return bad_input("invalid URL: " + why);
    std::string shown(text.substr(0, std::min(text.find('?'), kMaxShownSize)));
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' '; };
    std::replace_if(shown.begin(), shown.end(), is_control, '?');
    return bad_input("invalid URL \"" + shown + "\": " + why);
}

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// The rules that hold for the text as typed, whatever its parts are.
const char* typed_rule_broken(std::string_view text) {
    if (text.size() > kMaxUrlSize) return "it is too long";
    if (text.find('\0') != std::string_view::npos) return "it holds a NUL";
    if (text.find('#') != std::string_view::npos) return "a fragment makes no sense here; write %23 for '#'";
    for (std::size_t i = text.find('%'); i != std::string_view::npos; i = text.find('%', i + 1)) {
        if (i + 2 >= text.size() || !is_hex(text[i + 1]) || !is_hex(text[i + 2])) {
            return "'%' must be followed by two hex digits; write %25 for '%'";
        }
        if (text.substr(i, 3) == "%00") return "it holds a NUL";
    }
    return nullptr;
}

// Path and query as people type them, spaces and all; what is encoded already stays.
std::string encode_rest(std::string_view rest) {
    const std::size_t path_end = std::min(rest.find('?'), rest.size());
    std::string out;
    for (std::size_t i = 0; i < rest.size(); i++) {
        const char c = rest[i];
        const bool allowed = c == '%' || i == path_end || (i < path_end ? kPathChars(c) : kQueryChars(c));
        if (allowed) {
            out += c;
        } else {
            out += urls::encode(std::string_view(&c, 1), urls::unreserved_chars);
        }
    }
    return out;
}

Status check_authority(std::string_view text, const urls::url_view& view) {
    if (view.has_userinfo()) {
        return bad_input(
            "invalid URL: it holds user information; give credentials in a file or the environment");
    }
    // Decoded, such a name could not be told from an address.
    const bool is_name = view.host_type() == urls::host_type::name;
    if (is_name && view.host().starts_with('[')) return url_error(text, "the host is no name");
    const std::string port = view.port();
    const bool is_zero = std::all_of(port.begin(), port.end(), [](char c) { return c == '0'; });
    if (view.port_number() == 0 && !is_zero) return url_error(text, "the port is above 65535");
    return {};
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
    if (const char* rule = typed_rule_broken(text)) return url_error(text, rule);
    const std::size_t colon = text.find("://");
    if (colon == std::string_view::npos || colon != text.find(':')) {
        return url_error(text, "expected SCHEME://HOST/PATH");
    }
    const std::size_t rest = std::min(text.find_first_of("/?", colon + 3), text.size());
    const std::string encoded = std::string(text.substr(0, rest)) + encode_rest(text.substr(rest));
    const auto parsed = urls::parse_uri(encoded);
    // The parser takes what follows the digits of a port as a path, even without a slash.
    const bool has_path = parsed && !parsed->encoded_path().empty();
    if (!parsed || (has_path && !parsed->encoded_path().starts_with('/'))) {
        return url_error(text, "expected SCHEME://HOST[:PORT]/PATH[?KEY=VALUE&...]");
    }
    const urls::url_view view = *parsed;
    LITESTREAM_TRY(check_authority(text, view));
    Url url;
    url.scheme = to_lower(view.scheme());
    url.host = view.host();
    url.port = view.port();
    url.path = view.path();
    for (const auto& parameter : view.params()) url.query.emplace_back(parameter.key, parameter.value);
    return url;
}

std::string Url::to_string() const {
    const bool is_literal = host.starts_with('[');
    std::string text = scheme + "://" + (is_literal ? host : urls::encode(host, urls::unreserved_chars));
    if (!port.empty()) text += ":" + port;
    return text + urls::encode(path, kPathChars);
}

}  // namespace litestream
