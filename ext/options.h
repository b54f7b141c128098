// The options of what takes a replica's URL: one JSON object each; for replicate the same keys may stand in
// the URL's query. An unknown key is an error that names it and what is known.
//
// What only the store of an s3 replica needs (endpoint, region, ...: shared/replica/s3_location.h) ends up in
// the URL's query wherever it stood: the client reads it there, and its url() shows it. Reentrant.
#pragma once

#include <optional>
#include <string>

#include "ext/remembered.h"
#include "shared/base/url.h"
#include "shared/replica/restorer.h"

namespace litestream {

struct ReplicateOptions {
    Url url;           // its query has the store's options only, and what nobody knows
    ReplicaSpec spec;  // its URL is empty: the client knows how to write it
    bool adopt = false;
};

// `options`: JSON, or nullopt. A key in both places must say the same.
Result<ReplicateOptions> parse_replicate_options(const std::string& url,
                                                 const std::optional<std::string>& options);

// A replica's URL as somebody typed it for replicate, for those who only read: our keys are passed over, the
// store's own stay.
Result<Url> parse_replica_url(const std::string& url);

struct RestoreRequest {
    Url url;  // with the store's options, wherever they stood
    RestoreOptions options;
    bool if_db_not_exists = false;
    bool if_replica_exists = false;
    bool progress = false;
};

Result<RestoreRequest> parse_restore_options(const std::string& url,
                                             const std::optional<std::string>& options);
// Only `position` and `parallelism`.
Result<RestoreRequest> parse_validate_options(const std::string& url,
                                              const std::optional<std::string>& options);
// Only what the store needs.
Result<Url> parse_listing_options(const std::string& url, const std::optional<std::string>& options);

}  // namespace litestream
