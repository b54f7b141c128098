// S3Request: what is asked of an S3 store, and how it becomes an HTTP request: path-style or virtual-hosted,
// the query sorted and encoded as the signature wants it, the SHA-256 of the body among the headers.
// Reentrant.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "shared/net/http_transport.h"
#include "shared/replica/s3_location.h"

namespace litestream {

// As stores count (and bill) them.
enum class S3Kind { kPut, kGet, kList, kDelete, kHead };
constexpr int kS3Kinds = 5;
const char* to_string(S3Kind kind);  // "PUT"

struct S3Request {
    S3Kind kind = S3Kind::kGet;
    std::string method = "GET";
    std::string key;                           // empty: the bucket
    std::map<std::string, std::string> query;  // "uploads": ""
    std::vector<std::pair<std::string, std::string>> headers = {};
    ByteView body = {};
};

// Unsigned.
HttpRequestSpec to_http(const S3Request& request, const S3Location& location);

std::string sha256_hex(ByteView bytes);

// Content-MD5 is the one checksum of a body that all stores know (AWS, MinIO, SeaweedFS, R2, B2, GCS, Ceph);
// x-amz-checksum-* is refused or passed over by some. The signed SHA-256 guards the bytes as well, but not
// all stores compare it. Both empty where the machine's policy forbids MD5.
struct Md5 {
    std::string hex;
    std::string base64;
};
Md5 md5_of(ByteView bytes);
Md5 add_md5(S3Request& request);  // of its body, as Content-MD5

}  // namespace litestream
