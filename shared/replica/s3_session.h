// S3Session: one conversation with an S3 store. Signs each request, tries again what a store under load or a
// bad network refuses (jittered back-off, a few attempts: the replicator has a longer breath), goes where the
// store says that the bucket is, asks once for fresh keys when it says that these have expired, counts the
// requests, and turns refusals into messages that say what to do and show no key, even if the store's do.
//
// Tried again: no whole answer, 408, 429, 5xx but 501, SlowDown, InternalError, RequestTimeout and requests
// that crossed another one. Everything else is the answer. A store that says Retry-After is left alone for
// that long, within the limit of a wait.
//
// Thread-bound, except cancel(), counts() and the constant parts.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "shared/replica/s3_request.h"
#include "shared/replica/s3_xml.h"

namespace litestream {

// `refresh`: those that it gave before have been refused.
using S3Keys = std::function<Result<AwsKeys>(bool refresh)>;

struct S3Options {
    std::size_t part_size = 8u << 20;         // of a multipart upload, and what fits into a single PUT
    std::size_t first_range_size = 1u << 20;  // of a GET
    std::size_t range_size = 4u << 20;
    int attempts = 5;
    std::int64_t min_wait_ms = 250;  // between attempts
    std::int64_t max_wait_ms = 5'000;
    std::int64_t retry_ms = 20'000;  // no new attempt after that long
};

struct S3Answer {
    HttpAnswer http;
    S3Fault fault;  // of a refusal

    unsigned status() const { return http.status; }
    bool is_ok() const { return http.status / 100 == 2 && fault.code.empty(); }
};

// How long the store wants to be left alone: Retry-After, in seconds or as a date. 0: it does not say.
std::int64_t retry_after_ms(const HttpAnswer& answer, std::int64_t now_ms);

class S3Session {
  public:
    S3Session(S3Location location, S3Keys keys, std::unique_ptr<HttpTransport> transport, S3Options options);

    const S3Options& options() const { return options_; }
    const S3Location& location() const { return location_; }
    std::string url() const;                            // s3://BUCKET/PREFIX
    std::string key_of(const std::string& name) const;  // PREFIX/NAME
    std::string url_of(const std::string& key) const;   // s3://BUCKET/KEY, for messages
    const std::string& prefix() const { return prefix_; }

    // An answer may be a refusal; an error says that there is none and names the object. `on_body`: as in
    // HttpTransport; once it was given a byte, a cut answer (kIo) is not asked for again.
    Result<S3Answer> send(const S3Request& request, const Sink& on_body = nullptr);
    // What a refusal means, with the code that fits it.
    Error refusal(const S3Request& request, const S3Answer& answer) const;
    // send(), and a refusal is an error.
    Result<S3Answer> expect_ok(const S3Request& request, const Sink& on_body = nullptr);

    // Any thread: the request at hand and all later ones end with kInterrupt, as do waits.
    void cancel();
    bool is_cancelled() const { return is_cancelled_.load(); }
    std::uint64_t count(S3Kind kind) const { return counts_[static_cast<std::size_t>(kind)].load(); }

  private:
    Result<S3Answer> send_once(const S3Request& request, bool refresh, const Sink& on_body);
    std::string where(const S3Request& request) const;  // for messages
    bool move_to_hint(const S3Answer& answer);
    Status wait(std::int64_t delay_ms);
    std::string advice(const S3Request& request, const S3Answer& answer) const;

    S3Location location_;  // its region may change
    const std::string bucket_;
    const std::string prefix_;
    const S3Keys keys_;
    AwsKeys signed_with_;  // the last request
    const std::unique_ptr<HttpTransport> transport_;
    const S3Options options_;
    std::array<std::atomic<std::uint64_t>, kS3Kinds> counts_ = {};

    std::atomic<bool> is_cancelled_ = false;
    std::mutex mutex_;  // with cancel_: nothing else
    std::condition_variable cancel_;
};

}  // namespace litestream
