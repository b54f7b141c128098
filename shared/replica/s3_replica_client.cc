#include "shared/replica/s3_replica_client.h"

#include <algorithm>

#include "shared/base/clock.h"
#include "shared/format/path.h"
#include "shared/format/position.h"
#include "shared/replica/s3_source.h"

namespace litestream {
namespace {

constexpr std::size_t kMaxDeleted = 1000;  // by one request
constexpr int kMaxPages = 100'000;         // of a listing, of a thousand objects each
constexpr std::size_t kUsualTrailerSize = 4096;

bool is_unsupported(const S3Answer& answer) {
    return answer.status() == 501 || answer.status() == 405 || answer.fault.code == "NotImplemented";
}

// wal/INDEX/OFFSET.wal.lz4, or flat as 0.3 wrote it; `rest` is what stands behind wal/.
std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_segment(const std::string& rest) {
    const std::size_t slash = rest.find('/');
    if (slash == std::string::npos) return parse_v3_segment_name(rest);
    const auto index = parse_index_name(rest.substr(0, slash));
    const auto offset = parse_segment_name(rest.substr(slash + 1));
    if (!index || !offset) return std::nullopt;
    return std::pair(*index, *offset);
}

}  // namespace

S3ReplicaClient::S3ReplicaClient(S3Location location, S3Keys keys, std::unique_ptr<HttpTransport> transport,
                                 S3Options options, Connect connect)
    : session_(std::make_shared<S3Session>(location, keys, std::move(transport), options)),
      keys_(std::move(keys)),
      connect_(std::move(connect)),
      url_(location.url.empty() ? session_->url() : location.url) {}

S3ReplicaClient::~S3ReplicaClient() {
    if (siblings_) siblings_->remove(*session_);
}

// --- Duplicates ---

void S3Duplicates::add(std::shared_ptr<S3Session> session) {
    const std::lock_guard lock(mutex_);
    if (is_cancelled_) session->cancel();
    sessions_.push_back(std::move(session));
}

void S3Duplicates::remove(const S3Session& session) {
    const std::lock_guard lock(mutex_);
    for (int i = 0; i < kS3Kinds; ++i)
        gone_[static_cast<std::size_t>(i)] += session.count(static_cast<S3Kind>(i));
    std::erase_if(sessions_, [&](const auto& one) { return one.get() == &session; });
}

void S3Duplicates::cancel() {
    const std::lock_guard lock(mutex_);
    is_cancelled_ = true;
    for (const auto& session : sessions_) session->cancel();
}

std::uint64_t S3Duplicates::count(S3Kind kind) const {
    const std::lock_guard lock(mutex_);
    std::uint64_t count = gone_[static_cast<std::size_t>(kind)];
    for (const auto& session : sessions_) count += session->count(kind);
    return count;
}

std::vector<std::unique_ptr<ReplicaClient>> S3ReplicaClient::duplicates(unsigned wanted) {
    if (!connect_) return {};
    const S3Location& location = session_->location();
    if (wanted == 0) wanted = location.parallelism == 0 ? kUsualParallelism : location.parallelism;
    std::vector<std::unique_ptr<ReplicaClient>> clients;
    while (clients.size() < wanted) {
        auto client =
            std::make_unique<S3ReplicaClient>(location, keys_, connect_(), session_->options(), connect_);
        client->siblings_ = duplicates_;
        duplicates_->add(client->session_);
        clients.push_back(std::move(client));
    }
    return clients;
}

void S3ReplicaClient::cancel() {
    session_->cancel();
    duplicates_->cancel();
}

// --- Listing ---

Status S3ReplicaClient::list(const std::string& folder, Depth depth, const PageReader& reader,
                             const std::string& behind) {
    S3Request request{S3Kind::kList, "GET", "", {{"list-type", "2"}}};
    request.query["prefix"] = session_->key_of(folder) + "/";
    if (depth == Depth::kFolder) request.query["delimiter"] = "/";
    if (!behind.empty()) request.query["start-after"] = request.query["prefix"] + behind;
    for (int pages = 0; pages < kMaxPages; ++pages) {
        LITESTREAM_ASSIGN(const S3Answer answer, session_->expect_ok(request));
        const auto page = parse_page(answer.http.body);
        auto status = page ? reader(*page) : Status(page.error());
        if (!status) return std::move(status).error().context(session_->url());
        if (page->next.empty()) return {};
        if (std::exchange(request.query["continuation-token"], page->next) == page->next) break;
    }
    return corrupt(session_->url() + ": the store's listing of " + folder + " has no end");
}

Result<std::vector<std::string>> S3ReplicaClient::generations() {
    const std::size_t skip = session_->key_of(generations_path()).size() + 1;
    std::vector<std::string> names;
    LITESTREAM_TRY(list(generations_path(), Depth::kFolder, [&](const S3Page& page) {
        for (const std::string& folder : page.folders) {
            if (folder.size() <= skip + 1) continue;
            std::string name = folder.substr(skip, folder.size() - skip - 1);
            if (is_generation_name(name)) names.push_back(std::move(name));
        }
        return Status();
    }));
    std::sort(names.begin(), names.end());
    return names;
}

Result<std::vector<SnapshotInfo>> S3ReplicaClient::snapshots(const std::string& generation) {
    const std::string folder = snapshots_path(generation);
    const std::size_t skip = session_->key_of(folder).size() + 1;
    std::vector<SnapshotInfo> infos;
    LITESTREAM_TRY(list(folder, Depth::kFolder, [&](const S3Page& page) {
        for (const S3Object& object : page.objects) {
            const std::string name = object.key.substr(std::min(skip, object.key.size()));
            const auto parsed = parse_snapshot_name(name);
            if (!parsed) continue;
            infos.push_back(
                {generation, parsed->index, object.size_bytes, object.modified_ms, folder + "/" + name});
        }
        return Status();
    }));
    sort_files(infos);
    return infos;
}

Result<std::vector<SegmentInfo>> S3ReplicaClient::segments(const std::string& generation) {
    return list_segments(generation, "");
}

// Keys come in the order of positions. One of 0.3's, with its 8 digits, stands behind all of ours: these are
// all listed.
Result<std::vector<SegmentInfo>> S3ReplicaClient::segments_from(const Position& first) {
    const std::string name = segment_path(first.generation, first.index, first.offset);
    const std::size_t skip = wal_path(first.generation).size() + 1;
    LITESTREAM_ASSIGN(auto infos, list_segments(first.generation, name.substr(skip, name.find('.') - skip)));
    drop_before(first, infos);
    return infos;
}

Result<std::vector<SegmentInfo>> S3ReplicaClient::list_segments(const std::string& generation,
                                                                const std::string& behind) {
    const std::string folder = wal_path(generation);
    const std::size_t skip = session_->key_of(folder).size() + 1;
    std::vector<SegmentInfo> infos;
    const PageReader reader = [&](const S3Page& page) {
        for (const S3Object& object : page.objects) {
            const std::string name = object.key.substr(std::min(skip, object.key.size()));
            const auto place = parse_segment(name);
            if (!place) continue;
            infos.push_back({generation, place->first, place->second, object.size_bytes, object.modified_ms,
                             folder + "/" + name});
        }
        return Status();
    };
    LITESTREAM_TRY(list(folder, Depth::kAll, reader, behind));
    sort_files(infos);
    return infos;
}

// --- Reading ---

Result<std::unique_ptr<Source>> S3ReplicaClient::open(const std::string& name) {
    return S3Source::open(session_, session_->key_of(name));
}

Result<FilePart> S3ReplicaClient::read_part(const std::string& name, std::uint64_t offset, std::size_t size,
                                            const std::string& version) {
    return read_s3_part(*session_, session_->key_of(name), offset, size, version);
}

// The last `size` bytes, or all if there are fewer.
Result<Bytes> S3ReplicaClient::read_end(const std::string& name, std::size_t size) {
    S3Request request{S3Kind::kGet, "GET", session_->key_of(name), {}};
    request.headers = {{"Range", "bytes=-" + std::to_string(size)}};
    LITESTREAM_ASSIGN(const S3Answer answer, session_->send(request));
    if (answer.status() == 416) return Bytes();
    if (!answer.is_ok()) return session_->refusal(request, answer);
    ByteView body = as_bytes(answer.http.body);
    if (body.size() > size) body = body.last(size);  // the store passed over Range
    return Bytes(body.begin(), body.end());
}

Result<std::optional<Trailer>> S3ReplicaClient::trailer(const std::string& name) {
    LITESTREAM_ASSIGN(Bytes end, read_end(name, kUsualTrailerSize));
    if (end.size() < kMinTrailerSize) return std::optional<Trailer>();
    const std::uint32_t size = load_be32(end.data() + end.size() - 4);
    if (size < kMinTrailerSize || size > kMaxTrailerSize) return std::optional<Trailer>();
    if (size > end.size()) {
        LITESTREAM_ASSIGN(end, read_end(name, size));
        if (end.size() < size) return std::optional<Trailer>();
    }
    return trailer_at_end(end);
}

// --- Writing ---

Status S3ReplicaClient::publish(const std::string& name, const Producer& producer) {
    return write(name, producer, S3Upload::Existing::kRefused);
}

Status S3ReplicaClient::replace(const std::string& name, const Producer& producer) {
    return write(name, producer, S3Upload::Existing::kReplaced);
}

Status S3ReplicaClient::write(const std::string& name, const Producer& producer,
                              S3Upload::Existing existing) {
    const std::string key = session_->key_of(name);
    S3Upload upload(*session_, fence_, key, existing);
    Status sent;
    const Sink sink = [&](ByteView bytes) { return sent = upload.write(bytes); };
    Status status = producer(sink);
    if (status) {
        status = upload.finish();
    } else if (sent) {
        status = std::move(status).error().context(session_->url_of(key));
    }
    if (!status) upload.abandon();
    return status;
}

// --- Removing ---

Status S3ReplicaClient::remove(const std::string& name) {
    const S3Request request{S3Kind::kDelete, "DELETE", session_->key_of(name), {}};
    LITESTREAM_ASSIGN(const S3Answer answer, session_->send(request));
    has_removed_ = true;
    if (answer.is_ok() || (answer.status() == 404 && answer.fault.code != "NoSuchBucket")) return {};
    return session_->refusal(request, answer);
}

Status S3ReplicaClient::remove_all(const std::vector<std::string>& names) {
    FirstError errors;
    for (std::size_t at = 0; at < names.size(); at += kMaxDeleted) {
        const std::size_t n = std::min(kMaxDeleted, names.size() - at);
        LITESTREAM_TRY(remove_batch(std::span(names).subspan(at, n), errors));
    }
    return errors.status();
}

// An error: no batch can be removed. What single objects refuse goes into `errors`.
Status S3ReplicaClient::remove_batch(std::span<const std::string> names, FirstError& errors) {
    std::vector<std::string> keys;
    for (const std::string& name : names) keys.push_back(session_->key_of(name));
    const std::string body = encode_delete(keys);
    S3Request request{S3Kind::kDelete, "POST", "", {{"delete", ""}}};
    request.headers = {{"Content-Type", "application/xml"}};
    request.body = as_bytes(body);
    add_md5(request);
    LITESTREAM_ASSIGN(const S3Answer answer, session_->send(request));
    if (is_unsupported(answer)) {
        errors.see(ReplicaClient::remove_all({names.begin(), names.end()}));
        return {};
    }
    if (!answer.is_ok()) return session_->refusal(request, answer);
    has_removed_ = true;
    auto faults = parse_delete_faults(answer.http.body);
    if (!faults) return std::move(faults).error().context(session_->url());
    for (auto& [key, fault] : *faults) {
        if (fault.code == "NoSuchKey") continue;
        request.key = key;
        errors.see(session_->refusal(request, {{fault.code == "AccessDenied" ? 403U : 0U, {}, {}}, fault}));
    }
    return {};
}

Status S3ReplicaClient::remove_remains(const std::string&) {
    if (!std::exchange(has_removed_, false)) return {};
    S3Request request{S3Kind::kList, "GET", "", {{"uploads", ""}}};
    request.query["prefix"] = session_->key_of(generations_path()) + "/";
    LITESTREAM_ASSIGN(const S3Answer answer, session_->send(request));
    const auto uploads = parse_uploads(answer.http.body);
    if (!answer.is_ok() || !uploads) return {};  // not every store, and not every key, may list them
    for (const S3OpenUpload& upload : *uploads) {
        const bool is_ours = upload.key.starts_with(request.query["prefix"]);
        if (!is_ours || upload.begun_ms > wall_clock_ms() - kRemnantAgeMs) continue;
        S3Request abort{S3Kind::kDelete, "DELETE", upload.key, {{"uploadId", upload.id}}};
        LITESTREAM_TRY(session_->send(abort));
    }
    return {};
}

std::map<std::string, std::uint64_t> S3ReplicaClient::request_counts() const {
    std::map<std::string, std::uint64_t> counts;
    for (int i = 0; i < kS3Kinds; ++i) {
        const auto kind = static_cast<S3Kind>(i);
        counts[to_string(kind)] = session_->count(kind) + duplicates_->count(kind);
    }
    return counts;
}

}  // namespace litestream
