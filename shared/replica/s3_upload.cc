#include "shared/replica/s3_upload.h"

#include <algorithm>

#include "shared/base/random.h"
#include "shared/base/text.h"

namespace litestream {
namespace {

constexpr const char* kIdHeader = "x-amz-meta-litestream-id";
constexpr std::size_t kIdBytes = 16;
// A store takes 10,000 parts. Their size grows late, since some stores want all of one size.
constexpr std::size_t kEvenParts = 5000;
constexpr std::size_t kLateFactor = 8;
constexpr int kMaxSent = 3;  // times, to a store that keeps other bytes

bool is_unsupported(const S3Answer& answer) {
    return answer.status() == 501 || (answer.status() == 400 && answer.fault.code == "NotImplemented");
}

bool is_refused_as_existing(const S3Answer& answer) { return answer.status() == 412; }

std::string without_quotes(const std::string& etag) {
    const bool is_quoted = etag.size() >= 2 && etag.front() == '"' && etag.back() == '"';
    return is_quoted ? etag.substr(1, etag.size() - 2) : etag;
}

// An ETag is the MD5 of the bytes unless the store encrypts them or made it up in its own form.
bool fits_etag(const HttpAnswer& answer, const Md5& md5) {
    const std::string etag = without_quotes(answer.header("etag"));
    const auto encrypted = answer.headers.lower_bound("x-amz-server-side-encryption");
    const bool is_encrypted =
        encrypted != answer.headers.end() && encrypted->first.starts_with("x-amz-server-side-encryption");
    const bool is_md5 = etag.size() == 32 && is_lower_hex(etag) && !is_encrypted && !md5.hex.empty();
    return !is_md5 || etag == md5.hex;
}

Error other_bytes(const std::string& url) {
    return {ErrorCode::kIo, url + ": the store has other bytes than were sent"};
}

}  // namespace

std::string S3Fence::note() const {
    if (kind() != Kind::kReadBack) return "";
    return "the store does not support conditional writes (If-None-Match): two writers at once are noticed "
           "only by reading back";
}

S3Upload::S3Upload(S3Session& session, S3Fence& fence, std::string key, Existing existing)
    : session_(session),
      fence_(fence),
      key_(std::move(key)),
      existing_(existing),
      id_(random_hex(kIdBytes)) {}

std::size_t S3Upload::part_size() const {
    return session_.options().part_size * (etags_.size() < kEvenParts ? 1 : kLateFactor);
}

Status S3Upload::write(ByteView bytes) {
    while (!bytes.empty()) {
        if (buffer_.size() == part_size()) {
            if (upload_id_.empty()) LITESTREAM_TRY(begin());
            LITESTREAM_TRY(send_part());
        }
        const std::size_t n = std::min(bytes.size(), part_size() - buffer_.size());
        buffer_.insert(buffer_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
        bytes = bytes.subspan(n);
    }
    return {};
}

Status S3Upload::finish() {
    if (upload_id_.empty()) return put();
    LITESTREAM_TRY(send_part());
    return complete(is_conditional());
}

void S3Upload::abandon() {
    if (upload_id_.empty()) return;
    S3Request abort = request(S3Kind::kDelete, "DELETE");
    abort.query["uploadId"] = upload_id_;
    static_cast<void>(session_.send(abort));  // what stays is removed with the remains
}

S3Request S3Upload::request(S3Kind kind, std::string method) const {
    S3Request request{kind, std::move(method), key_, {}};
    if (kind == S3Kind::kPut) request.headers = {{"Content-Type", "application/octet-stream"}};
    return request;
}

// --- One PUT ---

S3Request S3Upload::put_request() const {
    S3Request put = request(S3Kind::kPut, "PUT");
    put.body = buffer_;
    put.headers.emplace_back(kIdHeader, id_);
    if (is_conditional()) put.headers.emplace_back("If-None-Match", "*");
    return put;
}

Status S3Upload::put() {
    if (is_new() && fence_.kind() != S3Fence::Kind::kStore) LITESTREAM_TRY(check_free());
    S3Request put = put_request();
    const Md5 md5 = add_md5(put);
    LITESTREAM_ASSIGN(const S3Answer answer, session_.send(put));
    if (is_conditional() && is_unsupported(answer)) {
        fence_.set(S3Fence::Kind::kReadBack);
        return this->put();
    }
    if (is_refused_as_existing(answer)) {  // perhaps by our own attempt, whose answer was lost
        LITESTREAM_ASSIGN(const S3Answer ours, look_ours());
        return fits_etag(ours.http, md5) ? Status() : mend(put);
    }
    if (!answer.is_ok()) return session_.refusal(put, answer);
    if (!fits_etag(answer.http, md5)) LITESTREAM_TRY(mend(put));
    if (is_new() && fence_.kind() == S3Fence::Kind::kUnknown) LITESTREAM_TRY(probe());
    return is_new() && fence_.kind() == S3Fence::Kind::kReadBack ? check_ours() : Status();
}

// The same object once more: a store that keeps to If-None-Match refuses it.
Status S3Upload::probe() {
    S3Request put = put_request();
    const Md5 md5 = add_md5(put);
    LITESTREAM_ASSIGN(const S3Answer answer, session_.send(put));
    if (is_refused_as_existing(answer)) fence_.set(S3Fence::Kind::kStore);
    if (!answer.is_ok()) return {};
    fence_.set(S3Fence::Kind::kReadBack);
    return fits_etag(answer.http, md5) ? Status() : mend(put);
}

// What nobody could look at must not stay either: the next listing would count it as published. Only where
// the store says that it is ours.
Status S3Upload::mend(const S3Request& put) {
    Status status = check_bytes(put);
    if (!status && status.error().code != ErrorCode::kExists && fence_.kind() == S3Fence::Kind::kStore) {
        static_cast<void>(session_.send({S3Kind::kDelete, "DELETE", key_, {}}));
    }
    return status;
}

// By reading them. An object that is ours may be replaced; what cannot be mended must not stay.
Status S3Upload::check_bytes(S3Request put) {
    const S3Request get{S3Kind::kGet, "GET", key_, {}};
    for (int sent = 1;; ++sent) {
        LITESTREAM_ASSIGN(const S3Answer found, session_.expect_ok(get));
        const ByteView bytes = as_bytes(found.http.body);
        if (std::equal(bytes.begin(), bytes.end(), buffer_.begin(), buffer_.end())) return {};
        LITESTREAM_TRY(check_ours());
        if (sent == kMaxSent) break;
        std::erase_if(put.headers, [](const auto& header) { return header.first == "If-None-Match"; });
        LITESTREAM_TRY(session_.expect_ok(put));
    }
    LITESTREAM_TRY(session_.expect_ok({S3Kind::kDelete, "DELETE", key_, {}}));
    return other_bytes(session_.url_of(key_));
}

// --- Many parts ---

Status S3Upload::begin() {
    if (is_new()) LITESTREAM_TRY(check_free());
    S3Request begin = request(S3Kind::kPut, "POST");
    begin.query["uploads"];
    begin.headers.emplace_back(kIdHeader, id_);
    LITESTREAM_ASSIGN(const S3Answer answer, session_.expect_ok(begin));
    auto id = parse_upload_id(answer.http.body);
    if (!id) return std::move(id).error().context(session_.url_of(key_));
    upload_id_ = *std::move(id);
    return {};
}

Status S3Upload::send_part() {
    S3Request part = request(S3Kind::kPut, "PUT");
    part.query["partNumber"] = std::to_string(etags_.size() + 1);
    part.query["uploadId"] = upload_id_;
    part.body = buffer_;
    const Md5 md5 = add_md5(part);
    LITESTREAM_ASSIGN(const S3Answer answer, session_.expect_ok(part));
    if (!fits_etag(answer.http, md5)) return other_bytes(session_.url_of(key_));
    etags_.push_back(answer.http.header("etag"));
    buffer_.clear();
    return {};
}

Status S3Upload::complete(bool is_conditional) {
    if (is_new() && !is_conditional) LITESTREAM_TRY(check_free());
    const std::string parts = encode_parts(etags_);
    S3Request complete{S3Kind::kPut, "POST", key_, {}};
    complete.query["uploadId"] = upload_id_;
    complete.body = as_bytes(parts);
    complete.headers = {{"Content-Type", "application/xml"}};
    if (is_conditional) complete.headers.emplace_back("If-None-Match", "*");
    LITESTREAM_ASSIGN(const S3Answer answer, session_.send(complete));
    if (is_conditional && is_unsupported(answer)) return this->complete(false);
    // An upload that is no more was completed by an attempt whose answer was lost, or by nobody.
    const bool is_gone = answer.fault.code == "NoSuchUpload";
    if (is_refused_as_existing(answer) || is_gone) return check_ours();
    if (!answer.is_ok()) return session_.refusal(complete, answer);
    const bool is_fenced = !is_new() || (is_conditional && fence_.kind() == S3Fence::Kind::kStore);
    return is_fenced && is_completion(answer.http.body) ? Status() : check_ours();
}

// --- Looking ---

Status S3Upload::check_free() {
    const S3Request head{S3Kind::kHead, "HEAD", key_, {}};
    LITESTREAM_ASSIGN(const S3Answer answer, session_.send(head));
    if (answer.is_ok()) return Error{ErrorCode::kExists, session_.url_of(key_) + ": exists already"};
    if (answer.status() == 404) return {};
    return session_.refusal(head, answer);
}

Result<S3Answer> S3Upload::look_ours() {
    const S3Request head{S3Kind::kHead, "HEAD", key_, {}};
    LITESTREAM_ASSIGN(S3Answer answer, session_.expect_ok(head));
    if (answer.http.header(kIdHeader) == id_) return answer;
    return Error{ErrorCode::kExists, session_.url_of(key_) + ": exists already"};
}

Status S3Upload::check_ours() {
    LITESTREAM_TRY(look_ours());
    return {};
}

}  // namespace litestream
