// The XML that S3 stores speak: what comes is decoded (total: any text gives a value or kCorrupt; names
// without their name space), what goes is encoded. Reentrant.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "shared/base/result.h"

namespace litestream {

// <Error>: all empty where there is none.
struct S3Fault {
    std::string code;     // "SlowDown"
    std::string message;  // of one line, bounded
    std::string region;   // where the bucket really is
};
S3Fault parse_fault(const std::string& xml);

struct S3Object {
    std::string key;
    std::uint64_t size_bytes = 0;
    std::int64_t modified_ms = 0;
};

// One page of ListObjectsV2.
struct S3Page {
    std::vector<S3Object> objects;
    std::vector<std::string> folders;  // common prefixes
    std::string next;                  // continuation token; empty: the last page
};
Result<S3Page> parse_page(const std::string& xml);

Result<std::string> parse_upload_id(const std::string& xml);  // never empty
bool is_completion(const std::string& xml);                   // of a multipart upload

struct S3OpenUpload {
    std::string key;
    std::string id;
    std::int64_t begun_ms = 0;
};
Result<std::vector<S3OpenUpload>> parse_uploads(const std::string& xml);

// What a multi-delete could not remove: keys with their faults.
Result<std::vector<std::pair<std::string, S3Fault>>> parse_delete_faults(const std::string& xml);

std::string encode_delete(std::span<const std::string> keys);     // says only what failed
std::string encode_parts(const std::vector<std::string>& etags);  // of part 1, 2...

}  // namespace litestream
