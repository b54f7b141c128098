#include "shared/replica/s3_xml.h"

#include "tests/fuzz/check.h"

using namespace litestream;

namespace {

constexpr std::size_t kMostShown = 400;

void check_fault(const S3Fault& fault) {
    for (const std::string& text : {fault.code, fault.message}) {
        claim(text.size() <= kMostShown && text.find_first_of("\r\n") == std::string::npos);
    }
}

// Whatever a key holds, it is the text of one element.
void check_delete(const std::vector<std::string>& keys) {
    const std::string xml = encode_delete(keys);
    std::size_t count = 0;
    for (std::size_t at = 0; (at = xml.find("<Key", at)) != std::string::npos; at++) count++;
    claim(count == keys.size());
}

}  // namespace

// What a store answers, as each of the answers.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string xml(as_text({data, size}));
    check_fault(parse_fault(xml));
    const auto page = parse_page(xml);
    std::vector<std::string> keys = {xml};
    if (page) {
        for (const S3Object& object : page->objects) keys.push_back(object.key);
    }
    check_delete(keys);
    const auto upload = parse_upload_id(xml);
    if (upload) claim(!upload->empty());
    (void)parse_uploads(xml).has_value();
    const auto faults = parse_delete_faults(xml);
    if (!faults) return 0;
    for (const auto& [key, fault] : *faults) check_fault(fault);
    return 0;
}
