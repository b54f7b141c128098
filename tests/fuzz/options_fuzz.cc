#include "ext/options.h"

#include "ext/upstream.h"
#include "tests/fuzz/check.h"

using namespace litestream;

namespace {

using Options = std::optional<std::string>;

void check_replicate(const std::string& url, const Options& options) {
    const auto parsed = parse_replicate_options(url, options);
    if (!parsed) return;
    claim(parse_replica_url(url).has_value());
    claim(parsed->spec.name.empty() || check_replica_name(parsed->spec.name).has_value());
    for (const ReplicaInterval& interval : kReplicaIntervals) claim(parsed->spec.*interval.member >= 0);
}

void check_stream(const std::string& url, const Options& options) {
    const auto parsed = parse_stream_request(url, options);
    if (!parsed) return;
    claim(parsed->timeout_ms >= 0 && parsed->upstream.interval_ms >= 0);
    const auto back = Url::parse(parsed->upstream.url);
    claim(back.has_value() && (back->scheme == "s3" || back->query.empty()));
    const auto again = parse_stream_request(parsed->upstream.url, std::nullopt);
    claim(again.has_value() && again->upstream.url == parsed->upstream.url);
}

void check_restore(const Options& options) {
    const auto parsed = parse_restore_options("s3://b/p", options);
    if (!parsed) return;
    const RestoreOptions& target = parsed->options;
    claim(target.timestamp_ms.has_value() + target.index.has_value() + target.position.has_value() <= 1);
    claim(target.generation.empty() || is_generation_name(target.generation));
    claim(!target.index || *target.index <= kMaxIndex);
}

}  // namespace

// The first line is a URL, the rest the options' JSON; without a second line there are none.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(as_text({data, size}));
    const std::size_t end = text.find('\n');
    const std::string url = text.substr(0, end);
    const Options options = end == std::string::npos ? Options() : Options(text.substr(end + 1));
    check_replicate(url, options);
    check_stream(url, options);
    check_restore(options);
    const auto validate = parse_validate_options(url, options);
    if (validate && validate->options.position) {
        claim(is_generation_name(validate->options.position->generation));
    }
    (void)parse_listing_options(url, options).has_value();
    (void)parse_stop_options(options).has_value();
    return 0;
}
