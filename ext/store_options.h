// The options that only the store of an s3 replica needs (shared/replica/s3_location.h), for everybody who
// takes them as JSON: they end up in the URL's query, where its client reads them. Reentrant.
#pragma once

#include <span>
#include <string>

#include "shared/base/result.h"
#include "shared/base/url.h"
#include "shared/replica/s3_location.h"

namespace boost::json {
class value;
}  // namespace boost::json

namespace litestream {

// Of the store that the URL's scheme means; empty: it needs none.
std::span<const StoreOption> store_options(const Url& url);

// The value as it stands in a query; kInput: not of the option's kind.
Result<std::string> store_text(const StoreOption& option, const boost::json::value& value);

}  // namespace litestream
