// open_s3_client(): an S3 replica's URL becomes a client: where it is (s3_location.h), with whose keys
// (shared/net/aws_credentials.h), over the system's libcurl. Touches no network: libcurl, keys and store are
// asked for with the first request. Thread-safe.
#pragma once

#include <memory>

#include "shared/base/url.h"
#include "shared/replica/replica_client.h"

namespace litestream {

Result<std::unique_ptr<ReplicaClient>> open_s3_client(const Url& url);

}  // namespace litestream
