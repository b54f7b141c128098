// Heads of answers as text.
#include <algorithm>
#include <array>
#include <ctime>

#include "shared/net/http_connection.h"

namespace litestream {
namespace {

const char* reason_of(unsigned status) {
    switch (status) {
        case 101:
            return "Switching Protocols";
        case 200:
            return "OK";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 413:
            return "Content Too Large";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 503:
            return "Service Unavailable";
        case 505:
            return "HTTP Version Not Supported";
        default:
            return "Status";
    }
}

// Not strftime: its names follow the host's locale.
std::string http_date() {
    constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::time_t now = std::time(nullptr);
    std::tm parts = {};
    ::gmtime_r(&now, &parts);
    const auto two = [](int n) { return (n < 10 ? "0" : "") + std::to_string(n); };
    return std::string(kDays.at(static_cast<std::size_t>(parts.tm_wday))) + ", " + two(parts.tm_mday) + " " +
           kMonths.at(static_cast<std::size_t>(parts.tm_mon)) + " " + std::to_string(parts.tm_year + 1900) +
           " " + two(parts.tm_hour) + ":" + two(parts.tm_min) + ":" + two(parts.tm_sec) + " GMT";
}

// A line end inside a header would begin another one.
std::string one_line(std::string text) {
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; };
    std::replace_if(text.begin(), text.end(), is_control, ' ');
    return text;
}

}  // namespace

std::string response_head(unsigned status, const std::vector<std::pair<std::string, std::string>>& headers) {
    std::string head = "HTTP/1.1 " + std::to_string(status) + " " + reason_of(status) + "\r\n";
    head += "Date: " + http_date() + "\r\n";
    for (const auto& [name, value] : headers) head += one_line(name) + ": " + one_line(value) + "\r\n";
    return head + "\r\n";
}

HttpResponse error_response(unsigned status, const std::string& message) {
    HttpResponse response;
    response.status = status;
    response.body = one_line(message) + "\n";
    response.headers.emplace_back("X-Content-Type-Options", "nosniff");
    return response;
}

std::string whole_response(const HttpResponse& response, bool is_head, bool keep_alive) {
    auto headers = response.headers;
    headers.emplace_back("Content-Type", response.content_type);
    headers.emplace_back("Content-Length", std::to_string(response.body.size()));
    headers.emplace_back("Connection", keep_alive ? "keep-alive" : "close");
    std::string text = response_head(response.status, headers);
    if (!is_head) text += response.body;
    return text;
}

}  // namespace litestream
