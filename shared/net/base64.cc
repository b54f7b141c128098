#include "shared/net/base64.h"

#include <openssl/evp.h>

namespace litestream {

std::string to_base64(ByteView bytes) {
    Bytes encoded((bytes.size() + 2) / 3 * 4 + 1);
    const int size = EVP_EncodeBlock(encoded.data(), bytes.data(), static_cast<int>(bytes.size()));
    return std::string(as_text(ByteView(encoded).first(static_cast<std::size_t>(size))));
}

}  // namespace litestream
