#include "shared/replica/s3_xml.h"

#include <algorithm>
#include <pugixml.hpp>
#include <sstream>

#include "shared/base/clock.h"
#include "shared/base/text.h"

namespace litestream {
namespace {

constexpr std::size_t kMaxMessage = 300;

std::string text_of(const pugi::xml_node& node, const char* name) { return node.child_value(name); }

std::int64_t time_of(const pugi::xml_node& node, const char* name) {
    const auto time_ms = parse_time(node.child_value(name));
    return time_ms ? *time_ms : 0;
}

// Into logs and status: printable, one line.
std::string shown(std::string text) {
    if (text.size() > kMaxMessage) text = text.substr(0, kMaxMessage) + "...";
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
    return text;
}

S3Fault fault_of(const pugi::xml_node& error) {
    return {shown(text_of(error, "Code")), shown(text_of(error, "Message")), text_of(error, "Region")};
}

Status parse_root(const std::string& xml, const char* root, pugi::xml_document& document) {
    if (document.load_buffer(xml.data(), xml.size()) && document.child(root)) return {};
    return corrupt(std::string("the store's answer is no ") + root);
}

Result<S3Object> object_of(const pugi::xml_node& node) {
    S3Object object{text_of(node, "Key"), 0, time_of(node, "LastModified")};
    const std::string size = text_of(node, "Size");
    const bool is_number =
        !size.empty() && size.size() <= 18 && size.find_first_not_of("0123456789") == std::string::npos;
    if (!is_number) return corrupt("the store's listing has an object of size \"" + shown(size) + "\"");
    object.size_bytes = std::stoull(size);
    return object;
}

std::string to_text(const pugi::xml_document& document) {
    std::ostringstream out;
    document.save(out, "", pugi::format_raw);
    return out.str();
}

void add_text(pugi::xml_node& parent, const char* name, const std::string& text) {
    parent.append_child(name).text().set(text.c_str());
}

}  // namespace

S3Fault parse_fault(const std::string& xml) {
    pugi::xml_document document;
    if (!document.load_buffer(xml.data(), xml.size())) return {};
    return fault_of(document.child("Error"));
}

Result<S3Page> parse_page(const std::string& xml) {
    pugi::xml_document document;
    LITESTREAM_TRY(parse_root(xml, "ListBucketResult", document));
    const pugi::xml_node root = document.child("ListBucketResult");
    S3Page page;
    for (const pugi::xml_node& node : root.children("Contents")) {
        LITESTREAM_ASSIGN(S3Object object, object_of(node));
        page.objects.push_back(std::move(object));
    }
    for (const pugi::xml_node& node : root.children("CommonPrefixes")) {
        page.folders.push_back(text_of(node, "Prefix"));
    }
    if (text_of(root, "IsTruncated") != "true") return page;
    page.next = text_of(root, "NextContinuationToken");
    if (page.next.empty()) return corrupt("the store's listing goes on, but it does not say where");
    return page;
}

Result<std::string> parse_upload_id(const std::string& xml) {
    pugi::xml_document document;
    LITESTREAM_TRY(parse_root(xml, "InitiateMultipartUploadResult", document));
    std::string id = text_of(document.child("InitiateMultipartUploadResult"), "UploadId");
    if (id.empty()) return corrupt("the store's answer names no upload");
    return id;
}

bool is_completion(const std::string& xml) {
    pugi::xml_document document;
    return parse_root(xml, "CompleteMultipartUploadResult", document).has_value();
}

Result<std::vector<S3OpenUpload>> parse_uploads(const std::string& xml) {
    pugi::xml_document document;
    LITESTREAM_TRY(parse_root(xml, "ListMultipartUploadsResult", document));
    std::vector<S3OpenUpload> uploads;
    for (const pugi::xml_node& node : document.child("ListMultipartUploadsResult").children("Upload")) {
        uploads.push_back({text_of(node, "Key"), text_of(node, "UploadId"), time_of(node, "Initiated")});
    }
    return uploads;
}

Result<std::vector<std::pair<std::string, S3Fault>>> parse_delete_faults(const std::string& xml) {
    pugi::xml_document document;
    LITESTREAM_TRY(parse_root(xml, "DeleteResult", document));
    std::vector<std::pair<std::string, S3Fault>> faults;
    for (const pugi::xml_node& node : document.child("DeleteResult").children("Error")) {
        faults.emplace_back(text_of(node, "Key"), fault_of(node));
    }
    return faults;
}

std::string encode_delete(std::span<const std::string> keys) {
    pugi::xml_document document;
    pugi::xml_node root = document.append_child("Delete");
    root.append_attribute("xmlns") = "http://s3.amazonaws.com/doc/2006-03-01/";
    for (const std::string& key : keys) {
        pugi::xml_node object = root.append_child("Object");
        add_text(object, "Key", key);
    }
    add_text(root, "Quiet", "true");
    return to_text(document);
}

std::string encode_parts(const std::vector<std::string>& etags) {
    pugi::xml_document document;
    pugi::xml_node root = document.append_child("CompleteMultipartUpload");
    root.append_attribute("xmlns") = "http://s3.amazonaws.com/doc/2006-03-01/";
    for (std::size_t i = 0; i < etags.size(); ++i) {
        pugi::xml_node part = root.append_child("Part");
        add_text(part, "PartNumber", std::to_string(i + 1));
        add_text(part, "ETag", etags[i]);
    }
    return to_text(document);
}

}  // namespace litestream
