#include "shared/net/aws_profile.h"

#include "tests/fuzz/check.h"

using namespace litestream;

namespace {

void check_profile(std::string_view text, AwsFile file, std::string_view name) {
    const auto profile = parse_aws_profile(text, file, name);
    if (!profile) return;
    claim(text.find('[') != std::string_view::npos);
    for (const auto& [key, value] : *profile) {
        claim(!key.empty() && key.find('=') == std::string::npos);
        claim((key + value).find('\n') == std::string::npos);
        claim(value.empty() || (value.front() != ' ' && value.back() != ' '));
        claim(text.find(value) != std::string_view::npos);
    }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = as_text({data, size});
    for (const AwsFile file : {AwsFile::kCredentials, AwsFile::kConfig}) {
        for (const char* name : {"default", "other", ""}) check_profile(text, file, name);
    }
    return 0;
}
