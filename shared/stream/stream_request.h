// What a client asks of a server, and what the answer means to whoever typed the URL. Reentrant; no I/O.
#pragma once

#include <cstdint>
#include <string>

#include "shared/stream/stream_client.h"

namespace litestream {

constexpr const char* kPageSizeHeader = "Litestream-Page-Size";
constexpr std::size_t kMaxRefusalText = 200;

// GET /stream, from `position` on. A server of ours is told it again, and exactly, by the hello. An e6f7c60
// server is not asked to go on where the replica holds a bare copy of the file (offset 0): what that copy may
// hold already comes again.
HttpGet stream_request(const StreamSource& source, const Position& position);

// "http://primary:9090": where the server is.
std::string server_of(const StreamSource& source);

// Of an answer that is neither 200 nor 101. `text`: the server's own words. kInput: asking again does not
// heal it.
Error refusal_of(const StreamSource& source, unsigned status, const std::string& text);

// The page size that an accepted request was answered with. kInput: no Litestream server says that; kIo: the
// database has none yet.
Result<std::uint32_t> read_page_size(const std::string& header);
// kInput where both are known and differ.
Status check_page_size(std::uint32_t replica, std::uint32_t primary);

// The first line, at most kMaxRefusalText bytes of it, with '?' for what cannot be printed.
std::string printable_line(ByteView text);

}  // namespace litestream
