// AwsProfile: one profile of the files that the AWS tools share: ~/.aws/credentials and ~/.aws/config.
//
//   [default]                      a profile: its bare name in credentials, "profile NAME" in config
//   aws_access_key_id = AKIA...    a setting; the name in any case, a comment behind " #" or " ;"
//   s3 =
//     addressing_style = path      indented deeper than a setting: belongs to it, passed over
//   # comment, also with ;
//
// Total: a line that is none of these is passed over, a header that is none ends the profile before it.
// Reentrant. No I/O.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace litestream {

enum class AwsFile { kCredentials, kConfig };

using AwsProfile = std::map<std::string, std::string>;  // names in lower case

// nullopt: the text has no such profile. Of a setting that is there twice the last one counts.
std::optional<AwsProfile> parse_aws_profile(std::string_view text, AwsFile file, std::string_view name);

}  // namespace litestream
