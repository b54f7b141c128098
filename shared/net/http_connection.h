// HttpConnection: one client of the HTTP server. Reads requests, asks the handler, writes answers; a
// streaming answer takes the connection over until one side ends it.
//
// States: reading -> answering -> reading | draining, or reading -> streaming -> draining, and closed from
// anywhere. Draining: all is said and the client is told so; what it still sends is read and dropped, since
// closing over unread bytes would reset the connection and could take the answer from the client.
//
// Thread-bound to the I/O thread. It owns itself while an operation is pending.
#pragma once

#include <memory>
#include <string>

#include "shared/net/http_server.h"

namespace litestream {

class HttpConnection {
  public:
    virtual ~HttpConnection() = default;
    virtual void start() = 0;
    virtual void terminate() = 0;  // closes and makes the last calls to its stream, if it has one
};

// What the connections of one server share; outlives the server object.
class HttpCore {
  public:
    virtual ~HttpCore() = default;
    virtual HttpReply answer(const HttpRequest& request) = 0;
    virtual const HttpLimits& limits() const = 0;
    virtual void forget(const HttpConnection& connection) = 0;  // it was terminated
};

// Takes the descriptor of a connected, non-blocking socket over. nullptr: it cannot be watched.
std::shared_ptr<HttpConnection> make_http_connection(IoThread& io, int descriptor, const std::string& peer,
                                                     std::shared_ptr<HttpCore> core);

// "HTTP/1.1 200 OK" with its headers and a blank line.
std::string response_head(unsigned status, const std::vector<std::pair<std::string, std::string>>& headers);
// An error in one line, as all answers of the server itself look.
HttpResponse error_response(unsigned status, const std::string& message);
std::string whole_response(const HttpResponse& response, bool is_head, bool keep_alive);

}  // namespace litestream
