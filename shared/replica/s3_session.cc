#include "shared/replica/s3_session.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "shared/base/clock.h"
#include "shared/base/text.h"
#include "shared/replica/schedule.h"

namespace litestream {
namespace {

constexpr std::size_t kMaxRegionSize = 40;
constexpr std::int64_t kMaxRetryAfterMs = std::int64_t{24} * 3600 * 1000;
constexpr std::size_t kMinShownKeySize = 6;  // a shorter one is in any text

bool is_one_of(const std::string& code, std::initializer_list<const char*> codes) {
    return std::find(codes.begin(), codes.end(), code) != codes.end();
}

bool is_transient(const S3Answer& answer) {
    const unsigned status = answer.status();
    return status == 408 || status == 429 || (status >= 500 && status != 501) ||
           is_one_of(answer.fault.code, {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout",
                                         "OperationAborted", "ConditionalRequestConflict"});
}

bool are_keys_stale(const S3Answer& answer) {
    return is_one_of(answer.fault.code, {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired",
                                         "InvalidToken", "InvalidAccessKeyId"});
}

std::string hinted_region(const S3Answer& answer) {
    std::string region = answer.http.header("x-amz-bucket-region");
    if (region.empty()) region = answer.fault.region;
    const bool is_name =
        region.size() <= kMaxRegionSize && std::all_of(region.begin(), region.end(), [](unsigned char c) {
            return c == '-' || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        });
    return is_name ? region : std::string();
}

// "Tue, 24 Nov 2026 09:00:00 GMT", whatever the program's locale is.
std::optional<std::int64_t> parse_http_date(const std::string& text) {
    constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char month[4] = "";
    unsigned day = 0, year = 0, hour = 0, minute = 0, second = 0;
    if (std::sscanf(text.c_str(), "%*3s, %2u %3s %4u %2u:%2u:%2u", &day, month, &year, &hour, &minute,
                    &second) != 6) {
        return std::nullopt;
    }
    const std::size_t at = kMonths.find(month);
    if (at == std::string_view::npos || at % 3 != 0) return std::nullopt;
    char iso[32];
    std::snprintf(iso, sizeof iso, "%04u-%02u-%02uT%02u:%02u:%02uZ", year % 10'000,
                  static_cast<unsigned>(at / 3 + 1), day % 100, hour % 100, minute % 100, second % 100);
    const auto time_ms = parse_time(iso);
    return time_ms ? std::optional(*time_ms) : std::nullopt;
}

std::string clock_advice(const S3Answer& answer) {
    const auto store_ms = parse_http_date(answer.http.header("date"));
    if (!store_ms) return "the clock of this machine is wrong: set it";
    const std::int64_t ahead_ms = wall_clock_ms() - *store_ms;
    return "the clock of this machine is " + std::to_string(std::abs(ahead_ms) / 1000) + " s " +
           (ahead_ms > 0 ? "ahead of" : "behind") + " the store's: set it";
}

const char* permission_for(const S3Request& request) {
    switch (request.kind) {
        case S3Kind::kPut:
            return "s3:PutObject";
        case S3Kind::kGet:
            return "s3:GetObject, and s3:ListBucket to tell what is missing";
        case S3Kind::kHead:
            return "s3:GetObject, and s3:ListBucket to tell what is missing";
        case S3Kind::kList:
            return "s3:ListBucket";
        case S3Kind::kDelete:
            return "s3:DeleteObject";
    }
    return "";
}

ErrorCode code_of(const S3Answer& answer) {
    const unsigned status = answer.status();
    if (answer.fault.code == "NoSuchBucket") return ErrorCode::kCantOpen;
    if (status == 401 || status == 403 || are_keys_stale(answer)) return ErrorCode::kAuth;
    if (status == 404 && is_one_of(answer.fault.code, {"", "NoSuchKey", "NotFound"}))
        return ErrorCode::kNotFound;
    if (status == 412) return ErrorCode::kExists;
    return ErrorCode::kIo;
}

// Some stores say in a refusal whose key it was.
void hide(std::string& text, const std::string& key) {
    if (key.size() < kMinShownKeySize) return;
    for (std::size_t at = text.find(key); at != std::string::npos; at = text.find(key, at)) {
        text.replace(at, key.size(), "***");
        at += 3;
    }
    // The text was cut within the key.
    if (!text.ends_with("...")) return;
    const std::size_t end = text.size() - 3;
    for (std::size_t n = std::min(key.size() - 1, end); n >= kMinShownKeySize; --n) {
        if (text.compare(end - n, n, key, 0, n) == 0) return void(text.replace(end - n, n, "***"));
    }
}

Error interrupted() { return {ErrorCode::kInterrupt, "interrupted"}; }

}  // namespace

std::int64_t retry_after_ms(const HttpAnswer& answer, std::int64_t now_ms) {
    const std::string text = answer.header("retry-after");
    if (text.empty()) return 0;
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (end == text.data() + text.size()) {
        const bool is_huge = error != std::errc() || seconds > kMaxRetryAfterMs / 1000;
        return is_huge ? kMaxRetryAfterMs : std::max<std::int64_t>(seconds, 0) * 1000;
    }
    const auto date_ms = parse_http_date(text);
    return date_ms ? std::clamp<std::int64_t>(*date_ms - now_ms, 0, kMaxRetryAfterMs) : 0;
}

S3Session::S3Session(S3Location location, S3Keys keys, std::unique_ptr<HttpTransport> transport,
                     S3Options options)
    : location_(std::move(location)),
      bucket_(location_.bucket),
      prefix_(location_.prefix),
      keys_(std::move(keys)),
      transport_(std::move(transport)),
      options_(options) {}

std::string S3Session::url() const { return url_of(prefix_); }

std::string S3Session::key_of(const std::string& name) const {
    return prefix_.empty() ? name : prefix_ + "/" + name;
}

std::string S3Session::url_of(const std::string& key) const {
    return "s3://" + bucket_ + (key.empty() ? "" : "/" + key);
}

std::string S3Session::where(const S3Request& request) const {
    return request.key.empty() ? url() : url_of(request.key);
}

// --- Asking ---

Result<S3Answer> S3Session::send(const S3Request& request, const Sink& on_body) {
    BackOff back_off(options_.min_wait_ms, options_.max_wait_ms);
    const std::int64_t deadline_ms = steady_clock_ms() + options_.retry_ms;
    bool has_begun = false;  // to give the body away
    const Sink watched = [&](ByteView bytes) {
        has_begun = true;
        return on_body(bytes);
    };
    bool has_moved = false;
    bool has_refreshed = false;
    bool refresh = false;
    for (int attempt = 1;; ++attempt) {
        auto answer = send_once(request, std::exchange(refresh, false), on_body ? watched : nullptr);
        if (answer && !has_moved && move_to_hint(*answer)) {
            has_moved = true;
            continue;
        }
        if (answer && !has_refreshed && are_keys_stale(*answer)) {
            has_refreshed = refresh = true;
            continue;
        }
        const bool may_heal = answer ? is_transient(*answer) : answer.error().code == ErrorCode::kIo;
        const bool is_late = attempt >= options_.attempts || steady_clock_ms() >= deadline_ms;
        if (!may_heal || has_begun || is_late) return answer;
        std::int64_t delay_ms = back_off.failed();
        if (answer) {
            const std::int64_t asked_ms = retry_after_ms(answer->http, wall_clock_ms());
            delay_ms = std::max(delay_ms, std::min(asked_ms, options_.max_wait_ms));
        }
        if (auto waited = wait(delay_ms); !waited) {
            return std::move(waited).error().context(where(request));
        }
    }
}

Result<S3Answer> S3Session::send_once(const S3Request& request, bool refresh, const Sink& on_body) {
    const std::string url = where(request);
    if (is_cancelled()) return interrupted().context(url);
    auto keys = keys_(refresh);
    if (!keys) return std::move(keys).error().context(url);
    HttpRequestSpec http = to_http(request, location_);
    signed_with_ = *std::move(keys);
    if (!signed_with_.access_key_id.empty()) {
        http.signing = AwsSigning{signed_with_, location_.region, "s3"};
    }
    counts_[static_cast<std::size_t>(request.kind)]++;
    auto got = transport_->send(http, on_body);
    if (!got) return std::move(got).error().context(url);
    S3Answer answer{*std::move(got), {}};
    // A store that works for long says 200 first, and in the body whether it went well.
    if (answer.status() >= 300 || request.method == "POST") answer.fault = parse_fault(answer.http.body);
    return answer;
}

Result<S3Answer> S3Session::expect_ok(const S3Request& request, const Sink& on_body) {
    LITESTREAM_ASSIGN(auto answer, send(request, on_body));
    if (!answer.is_ok()) return refusal(request, answer);
    return answer;
}

bool S3Session::move_to_hint(const S3Answer& answer) {
    if (answer.is_ok()) return false;
    const std::string region = hinted_region(answer);
    if (region.empty() || region == location_.region) return false;
    location_.move_to(region);
    return true;
}

void S3Session::cancel() {
    {
        const std::lock_guard lock(mutex_);
        is_cancelled_.store(true);
    }
    cancel_.notify_all();
    transport_->cancel();
}

Status S3Session::wait(std::int64_t delay_ms) {
    std::unique_lock lock(mutex_);
    const bool is_over =
        cancel_.wait_for(lock, std::chrono::milliseconds(delay_ms), [this] { return is_cancelled_.load(); });
    return is_over ? Status(interrupted()) : Status();
}

// --- Refusals ---

std::string S3Session::advice(const S3Request& request, const S3Answer& answer) const {
    const std::string& code = answer.fault.code;
    if (code == "RequestTimeTooSkewed") return clock_advice(answer);
    if (code == "SignatureDoesNotMatch") return "the secret access key does not fit the access key id";
    if (code == "InvalidAccessKeyId") return "the store does not know this access key id";
    if (are_keys_stale(answer)) return "the credentials have expired: renew them";
    if (code == "NoSuchBucket") return "there is no bucket \"" + bucket_ + "\" at " + location_.endpoint;
    if (answer.status() == 403) return std::string("the credentials need ") + permission_for(request);
    const bool is_elsewhere = answer.status() / 100 == 3 || code == "AuthorizationHeaderMalformed";
    if (is_elsewhere)
        return "the bucket is not in the region " + location_.region + ": say where, with `region`";
    return "";
}

Error S3Session::refusal(const S3Request& request, const S3Answer& answer) const {
    const S3Fault& fault = answer.fault;
    std::string said = fault.code;
    if (said.empty()) said = std::string(to_string(request.kind)) + " was refused";
    if (!fault.message.empty()) said += ": " + fault.message;
    for (const std::string* const key :
         {&signed_with_.secret_access_key, &signed_with_.session_token, &signed_with_.access_key_id}) {
        hide(said, *key);
    }
    std::string text = where(request) + ": " + said;
    if (answer.status() != 0) text += " (" + std::to_string(answer.status()) + ")";
    const std::string what_to_do = advice(request, answer);
    return {code_of(answer), what_to_do.empty() ? text : text + "; " + what_to_do};
}

}  // namespace litestream
