#include "ext/store_options.h"

#include <boost/json.hpp>

namespace litestream {

namespace json = boost::json;

std::span<const StoreOption> store_options(const Url& url) {
    return url.scheme == "s3" ? s3_options() : std::span<const StoreOption>();
}

Result<std::string> store_text(const StoreOption& option, const json::value& value) {
    const char* expected = "text";
    switch (option.kind) {
        case StoreOptionKind::kText:
            if (value.is_string()) return std::string(value.get_string());
            break;
        case StoreOptionKind::kSwitch:
            if (value.is_bool()) return std::string(value.get_bool() ? "true" : "false");
            expected = "true or false";
            break;
        case StoreOptionKind::kNumber:
            if (value.is_number()) return json::serialize(value);
            expected = "a number";
            break;
    }
    return bad_input("option \"" + std::string(option.key) + "\" must be " + expected);
}

}  // namespace litestream
