#include "tests/replica/fake_store.h"

#include <algorithm>
#include <chrono>

#include "shared/base/clock.h"
#include "shared/base/url.h"
#include "shared/replica/s3_request.h"

namespace litestream {
namespace {

constexpr const char* kHost = "http://127.0.0.1:9";
constexpr const char* kBucket = "bucket";

}  // namespace

class FakeStore::Transport final : public HttpTransport {
  public:
    explicit Transport(FakeStore& store) : store_(store) {}
    Result<HttpAnswer> send(const HttpRequestSpec& request, const Sink& on_body) override {
        return store_.handle(request, on_body, *this);
    }
    void cancel() override {
        const std::lock_guard lock(store_.mutex_);
        is_cancelled_ = true;
        store_.changed_.notify_all();
    }
    bool is_cancelled() const { return is_cancelled_; }  // under the store's mutex

  private:
    FakeStore& store_;
    bool is_cancelled_ = false;
};

// --- For tests ---

S3Location FakeStore::location(const std::string& prefix) const {
    S3Location location;
    location.bucket = kBucket;
    location.prefix = prefix;
    location.region = region;
    location.endpoint = kHost;
    location.path_style = true;
    return location;
}

std::unique_ptr<HttpTransport> FakeStore::connect() { return std::make_unique<Transport>(*this); }

S3Options FakeStore::quick() {
    S3Options options;
    options.part_size = 16;
    options.first_range_size = 10;
    options.range_size = 10;
    options.min_wait_ms = options.max_wait_ms = 1;
    return options;
}

std::unique_ptr<S3ReplicaClient> FakeStore::client(S3Options options) {
    return std::make_unique<S3ReplicaClient>(
        location(), [keys = keys](bool) { return keys; }, connect(), options,
        are_duplicates_offered ? [this] { return connect(); } : S3ReplicaClient::Connect());
}

void FakeStore::plan(StoreFault fault) {
    const std::lock_guard lock(mutex_);
    faults_.push_back(std::move(fault));
}

std::map<std::string, FakeStore::Object> FakeStore::objects() const {
    const std::lock_guard lock(mutex_);
    return objects_;
}

void FakeStore::put(const std::string& key, const std::string& body) {
    const std::lock_guard lock(mutex_);
    objects_[key] = {body, {{"etag", etag_of(body)}}, wall_clock_ms()};
}

std::size_t FakeStore::open_uploads() const {
    const std::lock_guard lock(mutex_);
    return uploads_.size();
}

void FakeStore::begin_upload(const std::string& key, std::int64_t begun_ms) {
    const std::lock_guard lock(mutex_);
    uploads_["old-" + std::to_string(next_upload_++)] = {key, {}, {}, begun_ms};
}

std::vector<std::string> FakeStore::requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
}

int FakeStore::count(const std::string& pattern) const {
    const auto lines = requests();
    return static_cast<int>(std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
        return line.find(pattern) != std::string::npos;
    }));
}

bool FakeStore::wait_for_hang() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [this] { return is_hanging_; });
}

bool FakeStore::wait_for_count(const std::string& pattern, int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] {
        const auto fits = [&](const std::string& line) { return line.find(pattern) != std::string::npos; };
        return std::count_if(requests_.begin(), requests_.end(), fits) >= count;
    });
}

void FakeStore::release() {
    const std::lock_guard lock(mutex_);
    is_released_ = true;
    changed_.notify_all();
}

// --- Answering ---

std::optional<StoreFault> FakeStore::take_fault(const std::string& line) {
    for (StoreFault& fault : faults_) {
        if (fault.times == 0 || line.find(fault.pattern) == std::string::npos) continue;
        if (fault.after-- > 0) continue;
        fault.times--;
        return fault;
    }
    return std::nullopt;
}

Result<HttpAnswer> FakeStore::handle(const HttpRequestSpec& spec, const Sink& on_body,
                                     const Transport& transport) {
    std::unique_lock lock(mutex_);
    const Error reset{ErrorCode::kIo, std::string(kHost) + ": connection reset"};
    if (transport.is_cancelled()) return Error{ErrorCode::kInterrupt, "interrupted"};
    const auto url = Url::parse(spec.url);
    const std::string line = spec.method + " " + spec.url.substr(std::string(kHost).size());
    requests_.push_back(line);
    changed_.notify_all();
    const auto fault = take_fault(line + " " + Request{spec, ""}.header("Range"));
    if (fault && fault->kind == StoreFault::Kind::kReset) return reset;
    if (fault && fault->kind == StoreFault::Kind::kHang) {
        is_hanging_ = true;
        changed_.notify_all();
        changed_.wait(lock, [&] { return transport.is_cancelled(); });
        return Error{ErrorCode::kInterrupt, "interrupted"};
    }
    if (fault && fault->kind == StoreFault::Kind::kHold) {
        changed_.wait(lock, [&] { return is_released_ || transport.is_cancelled(); });
    }
    if (fault && fault->kind == StoreFault::Kind::kRefuse) {
        return HttpAnswer{fault->status, fault->headers,
                          "<Error><Code>" + fault->code + "</Code><Message>" + fault->message +
                              "</Message></Error>"};
    }
    const std::string root = std::string("/") + kBucket + "/";
    Request request{spec, url->path.starts_with(root) ? url->path.substr(root.size()) : ""};
    for (const auto& [name, value] : url->query) request.query[name] = value;
    if (fault && fault->kind == StoreFault::Kind::kSamePage) request.query.erase("continuation-token");
    const auto refusal = check(request);
    HttpAnswer got = refusal ? *refusal : answer(request);
    if (fault && fault->kind == StoreFault::Kind::kLose) return reset;
    if (fault && !refusal) spoil(fault->kind, request, got);
    if (spec.method == "HEAD") got.body.clear();
    const bool is_cut = fault && fault->kind == StoreFault::Kind::kCut;
    if (is_cut) got.body.resize(std::min(got.body.size(), fault->bytes));
    if (!on_body || got.status / 100 != 2) return is_cut ? Result<HttpAnswer>(reset) : got;
    lock.unlock();
    LITESTREAM_TRY(on_body(as_bytes(std::exchange(got.body, ""))));
    return is_cut ? Result<HttpAnswer>(reset) : got;
}

void FakeStore::spoil(StoreFault::Kind kind, const Request& request, HttpAnswer& answer) {
    if (kind == StoreFault::Kind::kGarble) answer.body = "<<< no XML";
    if (kind == StoreFault::Kind::kOtherEtag) answer.headers["etag"] = "\"" + std::string(32, '0') + "\"";
    if (kind != StoreFault::Kind::kDamage || answer.status != 200) return;
    Object& object = objects_.at(request.key);
    object.body.front() ^= 1;
    answer.headers["etag"] = object.headers["etag"] = etag_of(object.body);
}

}  // namespace litestream
