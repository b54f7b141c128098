#include "shared/base/url.h"

#include "shared/base/clock.h"
#include "shared/base/text.h"
#include "tests/fuzz/check.h"

using namespace litestream;

namespace {

void check_url(std::string_view text) {
    const auto url = Url::parse(text);
    if (!url) return;
    claim(url->path.empty() || url->path.front() == '/');
    claim(url->path.find('\0') == std::string::npos && url->host.find('\0') == std::string::npos);
    const auto back = Url::parse(url->to_string());
    claim(back.has_value() && back->scheme == url->scheme && back->host == url->host);
    claim(back->port == url->port && back->path == url->path);
}

// The other texts that users type as options.
void check_options(std::string_view text) {
    if (const auto duration_ms = parse_duration_ms(text)) {
        const auto back = parse_duration_ms(format_duration(*duration_ms));
        claim(back.has_value() && *back == *duration_ms);
    }
    if (const auto time_ms = parse_time(text)) {
        // A year-0 or year-9999 time with an offset may lie outside what four digits can print.
        const auto back = parse_time(format_time(*time_ms));
        claim(back.has_value());
    }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = as_text({data, size});
    check_url(text);
    check_options(text);
    return 0;
}
