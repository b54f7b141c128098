// S3Location: where an S3 replica is: which bucket, at whose endpoint, in which region, and how its objects
// are addressed. From the URL s3://HOST/PREFIX?OPTIONS and the environment; touches no network.
//
// HOST is a bucket at AWS, or at the endpoint that the query or the environment names, or a bucket in front
// of an endpoint that is known by its name: BUCKET.localhost:PORT, BUCKET.s3.REGION.backblazeb2.com and so
// on. What is said in the query goes before LITESTREAM_ENDPOINT and LITESTREAM_REGION, these before what the
// host's name says, and that before AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_DEFAULT_REGION.
//
// Reentrant: plain values. Nothing secret is in here.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "shared/base/result.h"
#include "shared/base/url.h"
#include "shared/net/proxy.h"

namespace litestream {

struct S3Location {
    std::string bucket;
    std::string prefix;        // of every key: no slash at either end; may be empty
    std::string region;        // never empty; "us-east-1" where nobody knows better
    std::string endpoint;      // "https://HOST[:PORT]" or "http://...", no slash at the end, no bucket
    bool path_style = false;   // ENDPOINT/BUCKET/KEY, not BUCKET.ENDPOINT/KEY
    bool skip_verify = false;  // do not check the certificate
    bool is_aws = false;       // the endpoint is AWS's own, which follows from the region
    unsigned parallelism = 0;  // requests at a time; 0: as many as the client likes
    std::string url;           // as shown and remembered, with the options that the URL had

    // "https://BUCKET.s3.eu-west-1.amazonaws.com" or "http://127.0.0.1:9000/BUCKET": a key follows behind
    // '/'.
    std::string base_url() const;
    // Once the store said that the bucket is elsewhere: at AWS the endpoint moves along. What is no name of a
    // region moves nothing.
    void move_to(const std::string& region);
};

// kInput: no bucket, an unknown key in the query, a value that is none, plain http to another machine without
// allow_http; the message begins with the URL.
Result<S3Location> parse_s3_location(const Url& url, const Environment& environment);

// The keys of the query, all of them options of a replica too. `kind`: how it is written in JSON.
enum class StoreOptionKind { kText, kSwitch, kNumber };
struct StoreOption {
    std::string_view key;
    StoreOptionKind kind;
};
std::span<const StoreOption> s3_options();

}  // namespace litestream
