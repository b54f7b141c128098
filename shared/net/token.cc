#include "shared/net/token.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <unistd.h>

#include <algorithm>

#include "shared/base/file.h"

namespace litestream {
namespace {

constexpr std::size_t kMaxTokenSize = 4096;

Error token_error(const std::string& path, const std::string& why) {
    return {ErrorCode::kInput, "token file " + path + ": " + why};
}

const char* rule_broken(const struct stat& status) {
    if (!S_ISREG(status.st_mode)) return "it is no regular file";
    if (status.st_uid != ::geteuid()) return "it belongs to another user";
    if ((status.st_mode & 077) != 0) return "others may read or write it; chmod 600 it";
    if (status.st_size == 0) return "it is empty";
    // Room for the end of the line.
    if (static_cast<std::uint64_t>(status.st_size) > kMaxTokenSize + 2) return "it is longer than 4096 bytes";
    return nullptr;
}

bool is_space(char c) { return c == '\n' || c == '\r' || c == ' ' || c == '\t'; }
bool is_visible(char c) { return c > ' ' && c < 127; }

}  // namespace

Result<std::string> read_token_file(const std::string& path) {
    // Not to hang on a FIFO.
    auto file = File::open(path, O_RDONLY | O_NONBLOCK);
    if (!file) return std::move(file).error().context("token file");
    LITESTREAM_ASSIGN(const struct stat status, file->status());
    if (const char* rule = rule_broken(status)) return token_error(path, rule);
    Bytes bytes(static_cast<std::size_t>(status.st_size));
    LITESTREAM_TRY(file->read_exactly_at(0, bytes));
    std::string token(as_text(bytes));
    while (!token.empty() && is_space(token.back())) token.pop_back();
    if (token.empty()) return token_error(path, "it is empty");
    if (token.size() > kMaxTokenSize) return token_error(path, "it is longer than 4096 bytes");
    if (!std::all_of(token.begin(), token.end(), is_visible)) {
        return token_error(path, "it must hold one line of visible ASCII characters");
    }
    return token;
}

// Digests have one length, so that not even the length of the secret shows.
bool equal_in_constant_time(std::string_view a, std::string_view b) {
    unsigned char digest_a[SHA256_DIGEST_LENGTH];
    unsigned char digest_b[SHA256_DIGEST_LENGTH];
    SHA256(as_bytes(a).data(), a.size(), digest_a);
    SHA256(as_bytes(b).data(), b.size(), digest_b);
    return CRYPTO_memcmp(digest_a, digest_b, sizeof digest_a) == 0;
}

}  // namespace litestream
