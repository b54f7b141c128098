#include "shared/net/token.h"

#include <algorithm>

#include "tests/fuzz/check.h"
#include "tests/support/temp_directory.h"

using namespace litestream;

// A token that is read fits into a header line, and is read from a file that holds just it.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const TempDirectory directory;
    const std::string path = directory.path("token");
    claim(write_file_atomically(path, {data, size}, 0600).has_value());
    const auto token = read_token_file(path);
    if (!token) return 0;
    claim(!token->empty() && token->size() <= 4096);
    claim(std::ranges::all_of(*token, [](char c) { return c > ' ' && c < 127; }));
    claim(write_file_atomically(path, as_bytes(*token), 0600).has_value());
    const auto back = read_token_file(path);
    claim(back.has_value() && equal_in_constant_time(*back, *token));
    return 0;
}
