#include "shared/net/proxy.h"

#include "shared/net/address.h"
#include "shared/stream/stream_request.h"
#include "tests/fuzz/check.h"

using namespace litestream;

namespace {

std::string take_line(std::string& text) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string line = text.substr(0, end);
    text.erase(0, end + 1);
    return line;
}

bool is_one_line(const std::string& text) { return text.find_first_of("\r\n") == std::string::npos; }

void check_proxy(const std::string& proxy, const std::string& no_proxy, const std::string& target) {
    auto url = Url::parse(target);
    if (!url) return;
    if (url->port.empty()) url->port = "80";
    const auto found = proxy_for(*url, [&](const char* name) -> const char* {
        const std::string_view variable = name;
        if (variable == "no_proxy") return no_proxy.c_str();
        return variable == "http_proxy" || variable == "https_proxy" ? proxy.c_str() : nullptr;
    });
    if (!found || !*found) return;
    claim(!is_loopback_host(url->host));
    claim(!(*found)->host.empty() && !(*found)->port.empty());
    claim(is_one_line((*found)->to_string()) && is_one_line((*found)->authorization));
}

void check_address(const std::string& text) {
    const auto parsed = parse_host_port(text);
    if (!parsed) return;
    claim(parsed->port.find_first_not_of("0123456789") == std::string::npos);
    const bool is_v6 = parsed->host.find(':') != std::string::npos;
    const std::string host = is_v6 ? "[" + parsed->host + "]" : parsed->host;
    const auto back = parse_host_port(host + ":" + parsed->port);
    claim(back.has_value() && back->host == parsed->host && back->port == parsed->port);
}

}  // namespace

// Lines that people and servers write: the environment's http_proxy and no_proxy, the URL to be reached, an
// address to serve at, a header of an answer, a refusal.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string text(as_text({data, size}));
    std::erase(text, '\0');  // neither a variable nor an argument can hold one
    const std::string proxy = take_line(text);
    const std::string no_proxy = take_line(text);
    check_proxy(proxy, no_proxy, take_line(text));
    check_address(take_line(text));
    const auto page_size = read_page_size(take_line(text));
    if (page_size) claim(is_page_size(*page_size));
    const std::string line = printable_line(as_bytes(text));
    claim(line.size() <= kMaxRefusalText && is_one_line(line));
    return 0;
}
