#include "shared/stream/stream_server.h"

#include <algorithm>
#include <utility>

#include "shared/base/text.h"
#include "shared/stream/stream_session.h"

namespace litestream {
namespace {

constexpr const char* kPageSizeHeader = "Litestream-Page-Size";
constexpr const char* kNotServed = "Database not found";
constexpr const char* kStreamContent = "application/octet-stream";

// Texts end as those of e6f7c60 do.
HttpResponse refuse(unsigned status, const std::string& why) {
    HttpResponse response;
    response.status = status;
    response.body = why + "\n";
    return response;
}

HttpResponse refuse(const Error& error) {
    if (error.code == ErrorCode::kNotFound) return refuse(404, kNotServed);
    return refuse(error.code == ErrorCode::kExists ? 409 : 500, error.message);
}

std::string lower_case(std::string text) {
    for (char& c : text) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return text;
}

bool is_of_ours(const HttpRequest& request) {
    return lower_case(request.header("upgrade")) == kStreamProtocol;
}

// Where an e6f7c60 client says that it is; only both together count.
Result<std::optional<Position>> position_of(const HttpRequest& request) {
    const std::string& generation = request.query_value("generation");
    const std::string& index_text = request.query_value("index");
    if (generation.empty() || index_text.empty()) return std::optional<Position>();
    LITESTREAM_ASSIGN(const std::uint64_t index, parse_hex(index_text, "index"));
    return std::optional<Position>(Position{generation, index, 0});
}

bool has_start(const SegmentStore& store, const Position& position) {
    const Position end = store.end();
    return position.generation == end.generation && position.index <= end.index &&
           store.has_index_from_start(position.generation, position.index);
}

}  // namespace

struct StreamServer::Impl {
    Impl(IoThread& io, Scheduler& scheduler, Find finder)
        : hub(std::make_shared<StreamHub>(io)), find(std::move(finder)) {
        hub->snapshots = std::make_shared<SnapshotQueue>(io, scheduler);
    }

    void add(const std::shared_ptr<StreamSession>& session) {
        std::erase_if(sessions, [](const auto& known) { return known.expired(); });
        sessions.push_back(session);
    }

    // "": all.
    void close_sessions(const std::string& path) {
        for (const auto& known : sessions) {
            const auto session = known.lock();
            if (session && (path.empty() || session->database_path() == path)) session->close();
        }
    }

    // Workers that are at it end outside the I/O thread, where they can be waited for.
    void drop(const std::string& path) {
        std::vector<std::shared_ptr<SnapshotQueue::Request>> rest;
        hub->io.run([&] {
            close_sessions(path);
            rest = hub->snapshots->take(path);
        });
    }

    const std::shared_ptr<StreamHub> hub;
    const Find find;
    std::vector<std::weak_ptr<StreamSession>> sessions;  // I/O thread
};

StreamServer::StreamServer(IoThread& io, Scheduler& scheduler, Find find)
    : impl_(std::make_shared<Impl>(io, scheduler, std::move(find))) {}

StreamServer::~StreamServer() { impl_->drop(""); }

HttpReply StreamServer::handle(const HttpRequest& request) {
    if (request.method != "GET") {
        HttpResponse response = refuse(405, "Method not allowed");
        response.headers.emplace_back("Allow", "GET");
        return response;
    }
    const std::string& path = request.query_value("path");
    if (path.empty()) return refuse(400, "Database name required");
    const auto position = position_of(request);
    if (!position) return refuse(400, "Invalid index query parameter");
    auto found = impl_->find(path);
    if (!found) return refuse(found.error());
    std::shared_ptr<ServedDatabase> database = *std::move(found);
    if (!database) return refuse(404, kNotServed);

    const std::pair<std::string, std::string> page_size(kPageSizeHeader,
                                                        std::to_string(database->page_size()));
    SegmentStore& store = database->store();
    if (store.generation().empty() || store.end().empty()) {
        HttpResponse response = refuse(503, "No generation available");
        response.headers.push_back(page_size);
        return response;
    }
    if (auto noted = store.note_streamed(); !noted) return refuse(503, noted.error().message);
    const bool is_ours = is_of_ours(request);
    const bool can_go_on = !is_ours && *position && has_start(store, **position);
    auto session = std::make_shared<StreamSession>(impl_->hub, std::move(database), request.peer, is_ours,
                                                   can_go_on ? *position : std::nullopt);
    impl_->add(session);
    StreamReply reply;
    reply.upgrade = is_ours ? kStreamProtocol : "";
    reply.headers.push_back(page_size);
    if (!is_ours) reply.headers.emplace_back("Content-Type", kStreamContent);
    reply.stream = std::move(session);
    return reply;
}

std::vector<StreamInfo> StreamServer::streams() const { return impl_->hub->board.list(); }

void StreamServer::drop(const std::string& path) {
    if (!path.empty()) impl_->drop(path);
}

void StreamServer::set_ack_listener(std::function<void(const std::string&, const Position&)> listener) {
    impl_->hub->board.set_ack_listener(std::move(listener));
}

}  // namespace litestream
