// The token that guards a server: read from a file that only its owner can read, compared without telling
// by the time taken where a guess went wrong. Reentrant.
#pragma once

#include <string>
#include <string_view>

#include "shared/base/result.h"

namespace litestream {

// One line of 1 to 4096 visible ASCII characters; spaces, tabs and ends of line at its end are cut. The file
// is regular, no symbolic link, the effective user's, and closed to everybody else. No message shows its
// content.
Result<std::string> read_token_file(const std::string& path);

bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace litestream
