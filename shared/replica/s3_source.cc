#include "shared/replica/s3_source.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <optional>

namespace litestream {
namespace {

// A range that is cut more often than this will not come whole.
constexpr int kMaxCuts = 20;

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

class PartReader {
  public:
    PartReader(S3Session& session, const std::string& key, std::uint64_t offset, std::size_t size,
               const std::string& version)
        : session_(session), key_(key), offset_(offset), size_(size) {
        part_.version = version;
    }

    Result<FilePart> run();

  private:
    S3Request range(std::size_t size) const;
    Status read_first();
    Status read_rest();
    Status take_facts(const S3Answer& answer, std::size_t before);
    bool is_whole() const {
        return part_.bytes.size() >= std::min<std::uint64_t>(size_, part_.file_size - offset_);
    }
    Error error(ErrorCode code, const std::string& why) const {
        return {code, session_.url_of(key_) + ": " + why};
    }
    Error replaced() const { return error(ErrorCode::kIo, "was replaced while it was read"); }
    Error wrong_range() const {
        return error(ErrorCode::kCorrupt, "the store sent another range than was asked for");
    }

    S3Session& session_;
    const std::string& key_;
    const std::uint64_t offset_;
    const std::size_t size_;
    FilePart part_;
    int cuts_ = 0;
};

Result<FilePart> PartReader::run() {
    if (part_.version.empty()) {
        LITESTREAM_TRY(read_first());
        if (part_.file_size <= offset_) return std::move(part_);
    } else {
        part_.file_size = offset_ + size_;  // until an answer says it
    }
    while (!is_whole()) LITESTREAM_TRY(read_rest());
    return std::move(part_);
}

// From where the part ends so far.
S3Request PartReader::range(std::size_t size) const {
    const std::uint64_t first = offset_ + part_.bytes.size();
    S3Request get{S3Kind::kGet, "GET", key_, {}};
    get.headers = {{"Range", "bytes=" + std::to_string(first) + "-" + std::to_string(first + size - 1)}};
    if (!part_.version.empty()) get.headers.emplace_back("If-Match", part_.version);
    return get;
}

Status PartReader::read_first() {
    const S3Request get = range(std::min(size_, session_.options().first_range_size));
    LITESTREAM_ASSIGN(const S3Answer answer, session_.send(get));
    if (answer.status() == 416) return {};  // it has no byte there
    if (!answer.is_ok()) return session_.refusal(get, answer);
    ByteView body = as_bytes(answer.http.body);
    if (answer.status() == 206) {
        part_.bytes.assign(body.begin(), body.end());
        return take_facts(answer, 0);
    }
    // A store that passes over Range sends all of it.
    part_.file_size = body.size();
    part_.version = answer.http.header("etag");
    body = body.subspan(std::min<std::uint64_t>(offset_, body.size()));
    part_.bytes.assign(body.begin(), body.end());
    return {};
}

// The answer brought what the part has behind its first `before` bytes.
Status PartReader::take_facts(const S3Answer& answer, std::size_t before) {
    const auto range = parse_content_range(answer.http.header("content-range"));
    const bool fits = answer.status() == 206 && range && range->first == offset_ + before &&
                      range->last + 1 == offset_ + part_.bytes.size();
    if (!fits) return wrong_range();
    part_.file_size = range->size;
    part_.version = answer.http.header("etag");
    return {};
}

Status PartReader::read_rest() {
    const std::size_t before = part_.bytes.size();
    const std::size_t wanted = std::min<std::uint64_t>(size_ - before, part_.file_size - offset_ - before);
    const S3Request get = range(wanted);
    part_.bytes.reserve(before + wanted);
    const auto answer = session_.send(get, [&](ByteView bytes) -> Status {
        if (bytes.size() > before + wanted - part_.bytes.size()) {
            return error(ErrorCode::kCorrupt, "the store sent too much");
        }
        part_.bytes.insert(part_.bytes.end(), bytes.begin(), bytes.end());
        return {};
    });
    const bool is_cut = !answer && answer.error().code == ErrorCode::kIo && part_.bytes.size() > before;
    if (!answer) return is_cut && ++cuts_ <= kMaxCuts ? Status() : Status(answer.error());
    if (answer->status() == 412) return replaced();
    if (!answer->is_ok()) return session_.refusal(get, *answer);
    const std::string version = part_.version;
    LITESTREAM_TRY(take_facts(*answer, before));
    if (part_.version != version) return replaced();  // the store passed over If-Match
    return is_whole() ? Status() : Status(wrong_range());
}

}  // namespace

Result<FilePart> read_s3_part(S3Session& session, const std::string& key, std::uint64_t offset,
                              std::size_t size, const std::string& version) {
    return PartReader(session, key, offset, size, version).run();
}

Result<std::unique_ptr<Source>> S3Source::open(std::shared_ptr<S3Session> session, const std::string& key) {
    std::unique_ptr<S3Source> source(new S3Source(std::move(session), key));
    LITESTREAM_TRY(source->fill(source->session_->options().first_range_size));
    return std::unique_ptr<Source>(std::move(source));
}

Result<std::size_t> S3Source::read(ByteSpan buffer) {
    if (taken_ == part_.bytes.size() && next_ < part_.file_size) {
        LITESTREAM_TRY(fill(session_->options().range_size));
    }
    const std::size_t n = std::min(buffer.size(), part_.bytes.size() - taken_);
    std::copy_n(part_.bytes.begin() + static_cast<std::ptrdiff_t>(taken_), n, buffer.begin());
    taken_ += n;
    return n;
}

Status S3Source::fill(std::size_t size) {
    const std::string version = std::move(part_.version);
    const std::uint64_t file_size = part_.file_size;
    part_ = {};
    taken_ = 0;
    LITESTREAM_ASSIGN(part_, read_s3_part(*session_, key_, next_, size, version));
    const bool is_other = next_ > 0 && (part_.file_size != file_size || part_.version != version);
    if (is_other) {
        return Error{ErrorCode::kIo, session_->url_of(key_) + ": was replaced while it was read"};
    }
    next_ += part_.bytes.size();
    return {};
}

}  // namespace litestream
