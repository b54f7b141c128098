#include "shared/replica/s3_source.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <optional>

namespace litestream {
namespace {

struct ContentRange {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::uint64_t size = 0;  // of the object
};

// "bytes 0-99/1234"
std::optional<ContentRange> parse_content_range(const std::string& text) {
    ContentRange range;
    const int fields = std::sscanf(text.c_str(), "bytes %18" SCNu64 "-%18" SCNu64 "/%18" SCNu64, &range.first,
                                   &range.last, &range.size);
    if (fields != 3 || range.first > range.last || range.last >= range.size) return std::nullopt;
    return range;
}

}  // namespace

Result<std::unique_ptr<Source>> S3Source::open(std::shared_ptr<S3Session> session, const std::string& key) {
    std::unique_ptr<S3Source> source(new S3Source(std::move(session), key));
    LITESTREAM_TRY(source->fill_first());
    return std::unique_ptr<Source>(std::move(source));
}

Result<std::size_t> S3Source::read(ByteSpan buffer) {
    if (taken_ == bytes_.size() && next_ < size_) LITESTREAM_TRY(fill());
    const std::size_t n = std::min(buffer.size(), bytes_.size() - taken_);
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(taken_), n, buffer.begin());
    taken_ += n;
    return n;
}

Error S3Source::error(ErrorCode code, const std::string& why) const {
    return {code, session_->url_of(key_) + ": " + why};
}

S3Request S3Source::range(std::size_t size) const {
    S3Request get{S3Kind::kGet, "GET", key_, {}};
    get.headers = {{"Range", "bytes=" + std::to_string(next_) + "-" + std::to_string(next_ + size - 1)}};
    if (!etag_.empty()) get.headers.emplace_back("If-Match", etag_);
    return get;
}

Status S3Source::fill_first() {
    const S3Request get = range(session_->options().first_range_size);
    LITESTREAM_ASSIGN(const S3Answer answer, session_->send(get));
    if (answer.status() == 416) return {};  // an object without a byte
    if (!answer.is_ok()) return session_->refusal(get, answer);
    const ByteView body = as_bytes(answer.http.body);
    etag_ = answer.http.header("etag");
    next_ = size_ = body.size();  // a store that passes over Range sends all of it
    if (answer.status() == 206) {
        const auto got = parse_content_range(answer.http.header("content-range"));
        const bool fits = got && got->first == 0 && got->last + 1 == body.size();
        if (!fits) return error(ErrorCode::kCorrupt, "the store sent another range than was asked for");
        size_ = got->size;
    }
    bytes_.assign(body.begin(), body.end());
    return {};
}

Status S3Source::fill() {
    const std::size_t size = std::min<std::uint64_t>(session_->options().range_size, size_ - next_);
    bytes_.clear();
    taken_ = 0;
    const S3Request get = range(size);
    const auto answer = session_->send(get, [&](ByteView bytes) -> Status {
        if (bytes.size() > size - bytes_.size()) return error(ErrorCode::kCorrupt, "the store sent too much");
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
        return {};
    });
    const bool is_cut = !answer && answer.error().code == ErrorCode::kIo && !bytes_.empty();
    if (!answer && !is_cut) return answer.error();
    if (answer && answer->status() == 412) return error(ErrorCode::kIo, "was replaced while it was read");
    if (answer && !answer->is_ok()) return session_->refusal(get, *answer);
    if (answer && (answer->status() != 206 || bytes_.size() != size)) {
        return error(ErrorCode::kCorrupt, "the store sent another range than was asked for");
    }
    next_ += bytes_.size();
    return {};
}

}  // namespace litestream
