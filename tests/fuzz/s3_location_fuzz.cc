#include "shared/replica/s3_location.h"

#include "tests/fuzz/check.h"

using namespace litestream;

namespace {

bool is_clean(std::string_view text) { return text.find_first_of(" \r\n\t") == std::string_view::npos; }

}  // namespace

// The first line is a replica's URL, the second an endpoint from the environment, the third a region. What is
// found can be reached, and the URL that is remembered leads there again.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string lines[3];
    std::size_t line = 0;
    for (const char c : as_text({data, size})) {
        if (c == '\n' && line < 2)
            line++;
        else if (c != '\0')
            lines[line] += c;
    }
    const auto environment = [&](const char* name) -> const char* {
        if (std::string_view(name) == "LITESTREAM_ENDPOINT") return lines[1].c_str();
        return std::string_view(name) == "LITESTREAM_REGION" ? lines[2].c_str() : nullptr;
    };
    const auto url = Url::parse(lines[0]);
    if (!url || url->scheme != "s3") return 0;
    auto location = parse_s3_location(*url, environment);
    if (!location) return 0;
    claim(!location->bucket.empty() && !location->region.empty());
    claim(location->endpoint.starts_with("http://") || location->endpoint.starts_with("https://"));
    claim(is_clean(location->endpoint) && is_clean(location->base_url()));
    claim(!location->prefix.starts_with('/') && !location->prefix.ends_with('/'));

    const auto again = Url::parse(location->url);
    claim(again.has_value());
    const auto back = parse_s3_location(*again, environment);
    claim(back.has_value() && back->base_url() == location->base_url() && back->prefix == location->prefix);
    location->move_to(lines[2]);
    claim(is_clean(location->base_url()));
    return 0;
}
