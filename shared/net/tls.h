// TLS on top of a TcpStream: OpenSSL with the system's trust store (or SSL_CERT_FILE, SSL_CERT_DIR), TLS 1.2
// or newer, the peer's name or address checked against its certificate.
//
// Thread-bound.
#pragma once

#include <memory>
#include <string>

#include "shared/net/net_stream.h"

namespace litestream {

// Shakes hands. `host` may have brackets. The error says why the peer is not trusted.
Result<std::unique_ptr<NetStream>> start_tls(std::unique_ptr<TcpStream> tcp, const std::string& host,
                                             std::int64_t deadline_ms);

}  // namespace litestream
