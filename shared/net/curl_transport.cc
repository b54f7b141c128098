#include "shared/net/curl_transport.h"

#include <signal.h>

#include <algorithm>
#include <cstdlib>

#include "shared/base/clock.h"
#include "shared/base/text.h"
#include "shared/base/url.h"
#include "shared/net/curl_library.h"
#include "shared/net/proxy.h"

namespace litestream {
namespace {

constexpr std::size_t kMaxHeaderBytes = 64u << 10;

// What a TLS library writes to a dead connection must not end the host: a SIGPIPE that comes while this lives
// is taken back. Threads that libcurl makes inherit the mask.
class NoSigpipe {
  public:
    NoSigpipe() {
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        sigset_t pending;
        sigpending(&pending);
        was_pending_ = sigismember(&pending, SIGPIPE) == 1;
        pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    ~NoSigpipe() {
        const timespec at_once = {};
        if (!was_pending_) sigtimedwait(&pipe_, nullptr, &at_once);
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    NoSigpipe(const NoSigpipe&) = delete;
    NoSigpipe& operator=(const NoSigpipe&) = delete;

  private:
    sigset_t pipe_;
    sigset_t before_;
    bool was_pending_ = false;
};

Error cancelled() { return {ErrorCode::kInterrupt, "interrupted"}; }

// Scheme, host and port: what of a URL may stand in messages.
Result<Url> parse_target(const std::string& text) {
    LITESTREAM_ASSIGN(Url url, Url::parse(text));
    if (url.scheme != "http" && url.scheme != "https") {
        return bad_input("unknown scheme \"" + url.scheme + "\": accepted are http and https");
    }
    if (url.port.empty()) url.port = url.scheme == "https" ? "443" : "80";
    return url;
}

ErrorCode code_of(CURLcode code) {
    switch (code) {
        case CURLE_URL_MALFORMAT:
            return ErrorCode::kInput;
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CACERT_BADFILE:
            return ErrorCode::kCantOpen;
        default:
            return ErrorCode::kIo;
    }
}

}  // namespace

struct CurlTransport::Handles {
    explicit Handles(const CurlLibrary& library)
        : curl(library), multi(curl.multi_init()), easy(curl.easy_init()) {}
    ~Handles() {
        curl.easy_cleanup(easy);
        curl.multi_cleanup(multi);
    }
    Handles(const Handles&) = delete;
    Handles& operator=(const Handles&) = delete;

    const CurlLibrary& curl;
    CURLM* const multi;
    CURL* const easy;  // keeps no connection itself: all of its options are set anew for each request
};

// One request and its answer.
class CurlTransport::Transfer {
  public:
    Transfer(Handles& handles, const HttpRequestSpec& request, const Sink& on_body)
        : handles_(handles), curl_(handles.curl), request_(request), on_body_(on_body) {
        curl_.easy_reset(handles_.easy);
    }
    ~Transfer() {
        curl_.multi_remove_handle(handles_.multi, handles_.easy);
        curl_.slist_free_all(headers_);
        curl_.slist_free_all(proxy_headers_);
    }
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;

    Status prepare(const CurlOptions& options);
    Result<HttpAnswer> run(const std::atomic<bool>& is_cancelled);

  private:
    template <typename Value>
    void set(CURLoption option, Value value) {
        curl_.easy_setopt(handles_.easy, option, value);
    }
    void add_header(curl_slist*& list, const std::string& line) {
        if (curl_slist* longer = curl_.slist_append(list, line.c_str())) list = longer;
    }
    void set_limits();
    void set_trust(const CurlOptions& options);
    Status set_proxy(const Url& target);
    void set_method();
    void set_headers();
    Result<HttpAnswer> finish(CURLcode code);
    Error failure(ErrorCode code, const std::string& why) const { return {code, origin_ + ": " + why}; }
    unsigned status() const;
    bool take_header(std::string_view line);
    Status take_body(ByteView bytes);
    void note_progress(std::size_t bytes);

    static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
    static std::size_t on_write(char* data, std::size_t size, std::size_t count, void* self);
    static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t sent);

    Handles& handles_;
    const CurlLibrary& curl_;
    const HttpRequestSpec& request_;
    const Sink& on_body_;
    std::string origin_;
    curl_slist* headers_ = nullptr;
    curl_slist* proxy_headers_ = nullptr;
    char error_[CURL_ERROR_SIZE] = "";
    HttpAnswer answer_;
    std::size_t header_bytes_ = 0;
    curl_off_t sent_bytes_ = 0;
    std::int64_t active_ms_ = steady_clock_ms();  // when it last got on
    std::size_t moved_ = 0;                       // bytes since then
    Status refusal_;                              // why a callback ended it
};

// --- What is asked ---

Status CurlTransport::Transfer::prepare(const CurlOptions& options) {
    LITESTREAM_ASSIGN(const Url target, parse_target(request_.url));
    origin_ = target.scheme + "://" + target.host + ":" + target.port;
    set(CURLOPT_URL, request_.url.c_str());
    set_limits();
    set_trust(options);
    set_method();
    set_headers();
    return set_proxy(target);
}

void CurlTransport::Transfer::set_limits() {
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_QUICK_EXIT, 1L);  // does not wait for a resolver that hangs
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_PATH_AS_IS, 1L);
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request_.connect_timeout_ms));
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(request_.total_timeout_ms));
    set(CURLOPT_ERRORBUFFER, error_);
    set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
    set(CURLOPT_HEADERDATA, static_cast<void*>(this));
    set(CURLOPT_WRITEFUNCTION, &Transfer::on_write);
    set(CURLOPT_WRITEDATA, static_cast<void*>(this));
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
    set(CURLOPT_XFERINFODATA, static_cast<void*>(this));
}

void CurlTransport::Transfer::set_trust(const CurlOptions& options) {
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(CURLOPT_SSL_VERIFYPEER, options.skip_verify ? 0L : 1L);
    set(CURLOPT_SSL_VERIFYHOST, options.skip_verify ? 0L : 2L);
    const char* file = options.ca_file.empty() ? ::secure_getenv("SSL_CERT_FILE") : options.ca_file.c_str();
    if (file != nullptr) set(CURLOPT_CAINFO, file);
    const char* directory = ::secure_getenv("SSL_CERT_DIR");
    if (directory != nullptr && options.ca_file.empty()) set(CURLOPT_CAPATH, directory);
}

Status CurlTransport::Transfer::set_proxy(const Url& target) {
    LITESTREAM_ASSIGN(const auto proxy, proxy_for(target));
    set(CURLOPT_PROXY, proxy ? ("http://" + proxy->to_string()).c_str() : "");
    if (!proxy || proxy->authorization.empty()) return {};
    add_header(proxy_headers_, "Proxy-Authorization: " + proxy->authorization);
    set(CURLOPT_PROXYHEADER, proxy_headers_);
    return {};
}

void CurlTransport::Transfer::set_method() {
    if (request_.method == "HEAD") {
        set(CURLOPT_NOBODY, 1L);
    } else if (request_.method == "PUT" || request_.method == "POST") {
        set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
        set(CURLOPT_POSTFIELDS, request_.body.empty() ? "" : as_text(request_.body).data());
    }
    if (request_.method != "HEAD") set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
}

void CurlTransport::Transfer::set_headers() {
    for (const auto& [name, value] : request_.headers) add_header(headers_, name + ": " + value);
    if (const auto& signing = request_.signing) {
        set(CURLOPT_AWS_SIGV4, ("aws:amz:" + signing->region + ":" + signing->service).c_str());
        set(CURLOPT_USERNAME, signing->keys.access_key_id.c_str());
        set(CURLOPT_PASSWORD, signing->keys.secret_access_key.c_str());
        const std::string& token = signing->keys.session_token;
        if (!token.empty()) add_header(headers_, "x-amz-security-token: " + token);
    }
    set(CURLOPT_HTTPHEADER, headers_);
    set(CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));
    set(CURLOPT_USERAGENT, "liblitestream/" LITESTREAM_VERSION);
}

// --- What comes back ---

unsigned CurlTransport::Transfer::status() const {
    long status = 0;
    curl_.easy_getinfo(handles_.easy, CURLINFO_RESPONSE_CODE, &status);
    return static_cast<unsigned>(status);
}

bool CurlTransport::Transfer::take_header(std::string_view line) {
    header_bytes_ += line.size();
    if (header_bytes_ > kMaxHeaderBytes) {
        refusal_ = failure(ErrorCode::kCorrupt, "the header of the answer is larger than 64 KiB");
        return false;
    }
    if (line.starts_with("HTTP/")) answer_.headers.clear();  // of a proxy, or "100 Continue"
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return true;
    answer_.headers[to_lower(line.substr(0, colon))] = trimmed(line.substr(colon + 1));
    return true;
}

Status CurlTransport::Transfer::take_body(ByteView bytes) {
    if (on_body_ && status() / 100 == 2) return on_body_(bytes);
    if (bytes.size() > kMaxKeptBody - answer_.body.size()) {
        return failure(ErrorCode::kCorrupt, "the answer is larger than 8 MiB");
    }
    answer_.body += as_text(bytes);
    return {};
}

// What is told byte by byte, for days, is as good as silence.
void CurlTransport::Transfer::note_progress(std::size_t bytes) {
    moved_ += bytes;
    if (moved_ < request_.min_progress) return;
    moved_ = 0;
    active_ms_ = steady_clock_ms();
}

std::size_t CurlTransport::Transfer::on_header(char* data, std::size_t size, std::size_t count, void* self) {
    auto* const transfer = static_cast<Transfer*>(self);
    transfer->note_progress(size * count);
    return transfer->take_header({data, size * count}) ? size * count : 0;
}

std::size_t CurlTransport::Transfer::on_write(char* data, std::size_t size, std::size_t count, void* self) {
    auto* const transfer = static_cast<Transfer*>(self);
    const std::int64_t start_ms = steady_clock_ms();
    transfer->refusal_ = transfer->take_body(as_bytes({data, size * count}));
    transfer->active_ms_ += steady_clock_ms() - start_ms;  // that was not the peer's time
    transfer->note_progress(size * count);
    return transfer->refusal_ ? size * count : CURL_WRITEFUNC_ERROR;
}

int CurlTransport::Transfer::on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t sent) {
    auto* const transfer = static_cast<Transfer*>(self);
    if (sent == transfer->sent_bytes_) return 0;
    transfer->note_progress(static_cast<std::size_t>(sent - std::exchange(transfer->sent_bytes_, sent)));
    return 0;
}

Result<HttpAnswer> CurlTransport::Transfer::run(const std::atomic<bool>& is_cancelled) {
    curl_.multi_add_handle(handles_.multi, handles_.easy);
    for (int running = 1;;) {
        if (is_cancelled.load()) return cancelled();
        const CURLMcode code = curl_.multi_perform(handles_.multi, &running);
        if (code != CURLM_OK) return failure(ErrorCode::kIo, "libcurl fails");
        if (running == 0) break;
        const std::int64_t left_ms = active_ms_ + request_.silence_timeout_ms - steady_clock_ms();
        if (left_ms <= 0) return failure(ErrorCode::kIo, "too little came or went in time");
        const int wait_ms = static_cast<int>(std::min<std::int64_t>(left_ms, 60'000));
        curl_.multi_poll(handles_.multi, nullptr, 0, wait_ms, nullptr);
    }
    int left = 0;
    const CURLMsg* const message = curl_.multi_info_read(handles_.multi, &left);
    if (message == nullptr) return failure(ErrorCode::kIo, "libcurl fails");
    return finish(message->data.result);
}

Result<HttpAnswer> CurlTransport::Transfer::finish(CURLcode code) {
    if (!refusal_) return refusal_.error();
    if (code != CURLE_OK) return failure(code_of(code), *error_ ? error_ : curl_.easy_strerror(code));
    answer_.status = status();
    return std::move(answer_);
}

// --- The transport ---

CurlTransport::CurlTransport(CurlOptions options) : options_(std::move(options)) {}

CurlTransport::~CurlTransport() {
    const NoSigpipe no_sigpipe;
    handles_.reset();
}

Status CurlTransport::start() {
    if (handles_) return {};
    LITESTREAM_ASSIGN(const CurlLibrary* const library, curl_library());
    auto handles = std::make_unique<Handles>(*library);
    if (handles->multi == nullptr || handles->easy == nullptr) {
        return Error{ErrorCode::kIo, "libcurl fails"};
    }
    const std::lock_guard lock(mutex_);
    handles_ = std::move(handles);
    return {};
}

Result<HttpAnswer> CurlTransport::send(const HttpRequestSpec& request, const Sink& on_body) {
    LITESTREAM_TRY(start());
    const NoSigpipe no_sigpipe;
    Transfer transfer(*handles_, request, on_body);
    LITESTREAM_TRY(transfer.prepare(options_));
    return transfer.run(is_cancelled_);
}

void CurlTransport::cancel() {
    is_cancelled_.store(true);
    const std::lock_guard lock(mutex_);
    if (handles_) handles_->curl.multi_wakeup(handles_->multi);
}

}  // namespace litestream
