// FakeStore: an S3 store in memory, reached through HttpTransports that it hands out. It checks what a store
// checks (bucket, region, keys, checksums of bodies, If-None-Match, If-Match, parts of multipart uploads),
// lists in pages, and fails as it is told to.
//
// Thread-safe. Transports outlive nothing: the store outlives them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "shared/net/http_transport.h"
#include "shared/replica/s3_location.h"
#include "shared/replica/s3_replica_client.h"

namespace litestream {

// What happens to a request whose "METHOD PATH?QUERY", or that and " bytes=RANGE", contains `pattern`.
struct StoreFault {
    enum class Kind {
        kRefuse,  // answered with status, code and headers; nothing is done
        kReset,   // no answer; nothing is done
        kLose,    // done, and the answer lost
        kCut,     // the answer's body breaks off after `bytes`
        kHang,    // no answer until cancel()
        kHold,    // the answer waits for release()
        kDamage,  // done, with other bytes; the answer's ETag is that of these
        kOtherEtag,  // done; the answer has an ETag that is not the bytes' MD5
        kGarble,     // done; the answer's body is none
        kSamePage,   // of a listing: the first page, whichever was asked for
    };
    std::string pattern;
    Kind kind = Kind::kRefuse;
    unsigned status = 500;
    std::string code = "InternalError";
    std::map<std::string, std::string> headers = {};
    std::size_t bytes = 0;
    int times = 1;  // how many such requests
    int after = 0;  // how many pass first
    std::string message = {};
};

class FakeStore {
  public:
    enum class Conditions { kKept, kIgnored, kRefused };
    struct Object {
        std::string body;
        std::map<std::string, std::string> headers;  // etag, x-amz-meta-...
        std::int64_t modified_ms = 0;
    };

    // To be set before the first request:
    Conditions conditions = Conditions::kKept;
    std::size_t page_size = 1000;
    std::string region = "eu-west-1";
    AwsKeys keys = {"id", "secret", ""};
    std::set<std::string> locked;  // keys that nobody may delete
    bool has_multi_delete = true;
    bool has_ranges = true;
    bool are_duplicates_offered = true;  // by client()

    S3Location location(const std::string& prefix = "app") const;
    std::unique_ptr<HttpTransport> connect();
    std::unique_ptr<S3ReplicaClient> client(S3Options options = quick());
    static S3Options quick();  // no wait worth the name between attempts, parts and ranges of a few bytes

    void plan(StoreFault fault);
    std::map<std::string, Object> objects() const;
    void put(const std::string& key, const std::string& body);
    std::size_t open_uploads() const;
    void begin_upload(const std::string& key, std::int64_t begun_ms);
    std::vector<std::string> requests() const;    // "PUT /bucket/key?query"
    int count(const std::string& pattern) const;  // requests that contain it
    bool wait_for_hang();                         // until a request hangs, for ten seconds at most
    bool wait_for_count(const std::string& pattern, int count);  // of requests, for ten seconds at most
    void release();                                              // what is held, and all that would be

  private:
    class Transport;
    struct Upload {
        std::string key;
        std::map<std::string, std::string> headers;
        std::map<int, std::string> parts;
        std::int64_t begun_ms = 0;
    };
    struct Request {
        const HttpRequestSpec& spec;
        std::string key;
        std::map<std::string, std::string> query = {};

        bool has(const std::string& name) const { return query.count(name) != 0; }
        std::string text(const std::string& name) const { return has(name) ? query.at(name) : ""; }
        std::string header(const std::string& name) const;
        std::map<std::string, std::string> metadata() const;
        std::string body() const { return std::string(as_text(spec.body)); }
    };

    static std::string etag_of(const std::string& body);

    Result<HttpAnswer> handle(const HttpRequestSpec& spec, const Sink& on_body, const Transport& transport);
    std::optional<StoreFault> take_fault(const std::string& line);
    std::optional<HttpAnswer> check(const Request& request) const;
    void spoil(StoreFault::Kind kind, const Request& request, HttpAnswer& answer);
    HttpAnswer answer(const Request& request);
    HttpAnswer answer_bucket(const Request& request);
    HttpAnswer get(const Request& request) const;
    HttpAnswer put(const Request& request);
    HttpAnswer store(const Request& request, Object object);
    HttpAnswer begin(const Request& request);
    HttpAnswer put_part(const Request& request);
    HttpAnswer complete(const Request& request);
    HttpAnswer list(const Request& request) const;
    HttpAnswer list_uploads(const Request& request) const;
    HttpAnswer remove_many(const Request& request);

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    // Guarded by mutex_:
    std::map<std::string, Object> objects_;
    std::map<std::string, Upload> uploads_;
    std::vector<StoreFault> faults_;
    std::vector<std::string> requests_;
    int next_upload_ = 1;
    bool is_hanging_ = false;
    bool is_released_ = false;
};

}  // namespace litestream
