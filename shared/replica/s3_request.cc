#include "shared/replica/s3_request.h"

#include <openssl/evp.h>

#include "shared/base/text.h"
#include "shared/net/base64.h"

namespace litestream {
namespace {

constexpr std::size_t kMinProgress = 16u << 10;
constexpr std::int64_t kMaxPostMs = 600'000;

Bytes digest(ByteView bytes, const EVP_MD* algorithm) {
    Bytes out(EVP_MAX_MD_SIZE);
    unsigned size = 0;
    if (EVP_Digest(bytes.data(), bytes.size(), out.data(), &size, algorithm, nullptr) != 1) size = 0;
    out.resize(size);
    return out;
}

std::string url_of(const S3Request& request, const S3Location& location) {
    std::string url = location.base_url() + "/" + percent_encode(request.key);
    char separator = '?';
    for (const auto& [name, value] : request.query) {
        url += separator + percent_encode(name, "") + "=" + percent_encode(value, "");
        separator = '&';
    }
    return url;
}

}  // namespace

const char* to_string(S3Kind kind) {
    switch (kind) {
        case S3Kind::kPut:
            return "PUT";
        case S3Kind::kGet:
            return "GET";
        case S3Kind::kList:
            return "LIST";
        case S3Kind::kDelete:
            return "DELETE";
        case S3Kind::kHead:
            return "HEAD";
    }
    return "";
}

HttpRequestSpec to_http(const S3Request& request, const S3Location& location) {
    HttpRequestSpec http;
    http.method = request.method;
    http.url = url_of(request, location);
    http.headers = request.headers;
    http.headers.emplace_back("x-amz-content-sha256", sha256_hex(request.body));
    http.body = request.body;
    // A store that works for long on a POST (many parts become one object) sends a space now and then.
    if (request.method == "POST") {
        http.total_timeout_ms = kMaxPostMs;
    } else {
        http.min_progress = kMinProgress;
    }
    return http;
}

std::string sha256_hex(ByteView bytes) { return to_hex(digest(bytes, EVP_sha256())); }

Md5 md5_of(ByteView bytes) {
    const Bytes md5 = digest(bytes, EVP_md5());
    return md5.empty() ? Md5() : Md5{to_hex(md5), to_base64(md5)};
}

Md5 add_md5(S3Request& request) {
    Md5 md5 = md5_of(request.body);
    if (!md5.base64.empty()) request.headers.emplace_back("Content-MD5", md5.base64);
    return md5;
}

}  // namespace litestream
