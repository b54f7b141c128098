// What the store in memory answers to whom it lets in.
#include <algorithm>

#include "shared/base/clock.h"
#include "shared/replica/s3_request.h"
#include "tests/replica/fake_store.h"

namespace litestream {
namespace {

HttpAnswer refuse(unsigned status, const std::string& code, const std::string& more = "") {
    return {status, {}, "<Error><Code>" + code + "</Code><Message>as told</Message>" + more + "</Error>"};
}

std::string element(const std::string& name, const std::string& text) {
    return "<" + name + ">" + text + "</" + name + ">";
}

// All texts between <name> and </name>.
std::vector<std::string> texts_of(std::string_view xml, const std::string& name) {
    std::vector<std::string> texts;
    for (std::size_t at = xml.find("<" + name + ">"); at != std::string_view::npos;
         at = xml.find("<" + name + ">", at)) {
        at += name.size() + 2;
        texts.emplace_back(xml.substr(at, xml.find("</" + name + ">", at) - at));
    }
    return texts;
}

}  // namespace

std::string FakeStore::etag_of(const std::string& body) { return "\"" + md5_of(as_bytes(body)).hex + "\""; }

std::string FakeStore::Request::header(const std::string& name) const {
    for (const auto& [given, value] : spec.headers) {
        if (given == name) return value;
    }
    return "";
}

std::map<std::string, std::string> FakeStore::Request::metadata() const {
    std::map<std::string, std::string> found;
    for (const auto& [name, value] : spec.headers) {
        if (name.starts_with("x-amz-meta-")) found[name] = value;
    }
    return found;
}

std::optional<HttpAnswer> FakeStore::check(const Request& request) const {
    const auto& signing = request.spec.signing;
    if (!signing || signing->keys.access_key_id != keys.access_key_id) {
        return refuse(403, "InvalidAccessKeyId");
    }
    if (signing->keys.session_token != keys.session_token) return refuse(400, "ExpiredToken");
    if (signing->region != region) {
        return refuse(400, "AuthorizationHeaderMalformed", element("Region", region));
    }
    if (signing->keys.secret_access_key != keys.secret_access_key) {
        return refuse(403, "SignatureDoesNotMatch");
    }
    if (request.header("x-amz-content-sha256") != sha256_hex(request.spec.body)) {
        return refuse(400, "XAmzContentSHA256Mismatch");
    }
    const std::string md5 = request.header("Content-MD5");
    const bool needs_md5 = request.spec.method == "PUT" || request.has("delete");
    if (needs_md5 && md5 != md5_of(request.spec.body).base64) return refuse(400, "BadDigest");
    return std::nullopt;
}

HttpAnswer FakeStore::answer(const Request& request) {
    const std::string& method = request.spec.method;
    if (request.key.empty()) return answer_bucket(request);
    if (method == "GET" || method == "HEAD") return get(request);
    if (method == "PUT") return request.has("partNumber") ? put_part(request) : put(request);
    if (method == "POST") return request.has("uploads") ? begin(request) : complete(request);
    if (request.has("uploadId")) {
        uploads_.erase(request.text("uploadId"));
    } else if (locked.count(request.key) != 0) {
        return refuse(403, "AccessDenied");
    } else {
        objects_.erase(request.key);
    }
    return {204, {}, ""};
}

HttpAnswer FakeStore::answer_bucket(const Request& request) {
    if (request.has("list-type")) return list(request);
    if (request.has("uploads")) return list_uploads(request);
    if (request.has("delete")) return has_multi_delete ? remove_many(request) : refuse(501, "NotImplemented");
    return refuse(404, "NoSuchBucket");
}

HttpAnswer FakeStore::get(const Request& request) const {
    const auto found = objects_.find(request.key);
    if (found == objects_.end()) return refuse(404, "NoSuchKey");
    const Object& object = found->second;
    const std::string expected = request.header("If-Match");
    if (!expected.empty() && expected != object.headers.at("etag")) return refuse(412, "PreconditionFailed");
    const std::string range = request.header("Range");
    if (range.empty() || !has_ranges) return {200, object.headers, object.body};
    const std::size_t size = object.body.size();
    const std::size_t dash = range.find('-');
    const bool is_suffix = dash == std::string("bytes=").size();
    const std::size_t number = std::stoull(range.substr(is_suffix ? dash + 1 : 6));
    const std::size_t first = is_suffix ? size - std::min(size, number) : number;
    if (first >= size) return refuse(416, "InvalidRange");
    const std::size_t last =
        is_suffix ? size - 1 : std::min<std::size_t>(size - 1, std::stoull(range.substr(dash + 1)));
    HttpAnswer part{206, object.headers, object.body.substr(first, last + 1 - first)};
    part.headers["content-range"] =
        "bytes " + std::to_string(first) + "-" + std::to_string(last) + "/" + std::to_string(size);
    return part;
}

HttpAnswer FakeStore::put(const Request& request) {
    const std::string etag = etag_of(request.body());
    Object object{request.body(), request.metadata(), 0};
    object.headers["etag"] = etag;
    return store(request, std::move(object));
}

// The end of a PUT and of a multipart upload.
HttpAnswer FakeStore::store(const Request& request, Object object) {
    const bool is_conditional = request.header("If-None-Match") == "*";
    if (is_conditional && conditions == Conditions::kRefused) return refuse(501, "NotImplemented");
    if (is_conditional && conditions == Conditions::kKept && objects_.count(request.key) != 0) {
        return refuse(412, "PreconditionFailed");
    }
    object.modified_ms = wall_clock_ms();
    const std::string etag = object.headers["etag"];
    objects_[request.key] = std::move(object);
    return {200, {{"etag", etag}}, ""};
}

HttpAnswer FakeStore::begin(const Request& request) {
    const std::string id = "upload-" + std::to_string(next_upload_++);
    uploads_[id] = {request.key, request.metadata(), {}, wall_clock_ms()};
    return {200, {}, element("InitiateMultipartUploadResult", element("UploadId", id))};
}

HttpAnswer FakeStore::put_part(const Request& request) {
    const auto upload = uploads_.find(request.text("uploadId"));
    if (upload == uploads_.end()) return refuse(404, "NoSuchUpload");
    upload->second.parts[std::stoi(request.text("partNumber"))] = request.body();
    return {200, {{"etag", etag_of(request.body())}}, ""};
}

HttpAnswer FakeStore::complete(const Request& request) {
    const auto upload = uploads_.find(request.text("uploadId"));
    if (upload == uploads_.end()) return refuse(404, "NoSuchUpload");
    Object object{"", upload->second.headers, 0};
    int number = 0;
    for (const std::string& etag : texts_of(as_text(request.spec.body), "ETag")) {
        const auto part = upload->second.parts.find(++number);
        if (part == upload->second.parts.end()) return refuse(400, "InvalidPart");
        if (etag != etag_of(part->second)) return refuse(400, "InvalidPart");
        object.body += part->second;
    }
    object.headers["etag"] = etag_of(object.body);
    object.headers["etag"].insert(33, "-" + std::to_string(number));
    HttpAnswer stored = store(request, std::move(object));
    if (stored.status != 200) return stored;
    uploads_.erase(upload);
    return {200, {}, element("CompleteMultipartUploadResult", element("Key", request.key))};
}

HttpAnswer FakeStore::list(const Request& request) const {
    const std::string prefix = request.text("prefix");
    const std::string delimiter = request.text("delimiter");
    std::map<std::string, std::string> entries;  // in key order
    for (auto object = objects_.lower_bound(prefix); object != objects_.end(); ++object) {
        const auto& [key, value] = *object;
        if (!key.starts_with(prefix)) break;
        const std::size_t end = delimiter.empty() ? std::string::npos : key.find(delimiter, prefix.size());
        if (end != std::string::npos) {
            const std::string folder = key.substr(0, end + 1);
            entries[folder] = element("CommonPrefixes", element("Prefix", folder));
        } else {
            entries[key] = element("Contents", element("Key", key) +
                                                   element("LastModified", format_time(value.modified_ms)) +
                                                   element("Size", std::to_string(value.body.size())));
        }
    }
    std::string xml;
    std::size_t left = page_size;
    const std::string last = std::max(request.text("start-after"), request.text("continuation-token"));
    for (auto entry = entries.upper_bound(last); entry != entries.end(); ++entry) {
        xml += entry->second;
        if (--left > 0 || std::next(entry) == entries.end()) continue;
        xml += element("IsTruncated", "true") + element("NextContinuationToken", entry->first);
        break;
    }
    return {200, {}, element("ListBucketResult", xml)};
}

HttpAnswer FakeStore::list_uploads(const Request& request) const {
    std::string xml;
    for (const auto& [id, upload] : uploads_) {
        if (!upload.key.starts_with(request.text("prefix"))) continue;
        xml += element("Upload", element("Key", upload.key) + element("UploadId", id) +
                                     element("Initiated", format_time(upload.begun_ms)));
    }
    return {200, {}, element("ListMultipartUploadsResult", xml)};
}

HttpAnswer FakeStore::remove_many(const Request& request) {
    std::string xml;
    const auto keys_to_remove = texts_of(as_text(request.spec.body), "Key");
    if (keys_to_remove.size() > 1000) return refuse(400, "MalformedXML");
    for (const std::string& key : keys_to_remove) {
        if (locked.count(key) != 0) {
            xml += element("Error", element("Key", key) + element("Code", "AccessDenied") +
                                        element("Message", "protected by object lock"));
        } else {
            objects_.erase(key);
        }
    }
    return {200, {}, element("DeleteResult", xml)};
}

}  // namespace litestream
