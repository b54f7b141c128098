// Url: the replica URLs that users type: SCHEME://HOST[:PORT]/PATH[?KEY=VALUE&...]. Reentrant.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/base/result.h"

namespace litestream {

struct Url {
    std::string scheme;                                      // lower case
    std::string host;                                        // decoded; may be empty
    std::string port;                                        // digits or empty
    std::string path;                                        // decoded, with its leading '/'
    std::vector<std::pair<std::string, std::string>> query;  // decoded, in order

    // Secrets in a URL end up in logs and shell histories: user information is refused (kInput).
    // A path that is not encoded (spaces, non-UTF-8 bytes) is taken as it stands; '%' must be followed by two
    // hex digits; a NUL (also "%00") and a fragment are refused.
    static Result<Url> parse(std::string_view text);
    // SCHEME://HOST[:PORT]/PATH, encoded, without the query: what status and tables show.
    std::string to_string() const;
};

}  // namespace litestream
