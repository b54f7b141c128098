#include "shared/net/aws_profile.h"

#include <algorithm>

#include "shared/base/text.h"

namespace litestream {
namespace {

constexpr std::string_view kBlank = " \t\r";

std::string_view unquoted(std::string_view text) {
    const bool is_quoted =
        text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.front() == text.back();
    return is_quoted ? text.substr(1, text.size() - 2) : text;
}

// A mark of a comment counts only behind a blank: it may be a part of a value.
std::string_view without_comment(std::string_view text) {
    for (std::size_t i = 1; i < text.size(); i++) {
        const bool is_mark = text[i] == '#' || text[i] == ';';
        if (is_mark && kBlank.find(text[i - 1]) != std::string_view::npos) return trimmed(text.substr(0, i));
    }
    return text;
}

// "[profile NAME]"
bool opens_profile(std::string_view line, AwsFile file, std::string_view name) {
    const std::size_t end = line.find(']');
    if (end == std::string_view::npos) return false;
    std::string_view header = trimmed(line.substr(1, end - 1));
    constexpr std::string_view kPrefix = "profile";
    const bool has_prefix = header.size() > kPrefix.size() && header.starts_with(kPrefix) &&
                            kBlank.find(header[kPrefix.size()]) != std::string_view::npos;
    if (file == AwsFile::kConfig && has_prefix)
        return unquoted(trimmed(header.substr(kPrefix.size()))) == name;
    return header == name && (file == AwsFile::kCredentials || name == "default");
}

}  // namespace

std::optional<AwsProfile> parse_aws_profile(std::string_view text, AwsFile file, std::string_view name) {
    std::optional<AwsProfile> profile;
    bool is_inside = false;
    std::size_t setting_indent = std::string_view::npos;  // of the last one; none yet: any will do
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view raw = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::string_view line = trimmed(raw);
        if (line.empty() || line.front() == '#' || line.front() == ';') continue;
        if (line.front() == '[') {
            is_inside = opens_profile(line, file, name);
            setting_indent = std::string_view::npos;
            if (is_inside && !profile) profile.emplace();
            continue;
        }
        const std::size_t equals = line.find('=');
        const std::size_t indent = raw.find_first_not_of(kBlank);
        if (!is_inside || equals == std::string_view::npos || indent > setting_indent) continue;
        setting_indent = indent;
        const std::string key = to_lower(trimmed(line.substr(0, equals)));
        if (!key.empty()) (*profile)[key] = trimmed(without_comment(line.substr(equals + 1)));
    }
    return profile;
}

}  // namespace litestream
