// litestream_serve and litestream_serve_stop. Listening comes first: it fails most often and is undone
// without a trace; then the caller's database is made fit to be served, as litestream_replicate would make
// it.
#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>

#include "ext/connection.h"
#include "ext/functions.h"
#include "ext/runtime.h"
#include "ext/wal_mode.h"
#include "shared/base/events.h"
#include "shared/base/json.h"
#include "shared/net/token.h"
#include "vfs/shim_vfs.h"

namespace litestream {
namespace {

namespace json = boost::json;

constexpr std::int64_t kCaptureStartMs = 10'000;

Error wrong_type(const char* key, const char* expected) {
    return bad_input(std::string("option \"") + key + "\" must be " + expected);
}

// As SQLite names a database: absolute, links resolved. It need not be there yet.
Result<std::string> database_path(const json::value& value) {
    constexpr const char* kExpected = "an array of paths";
    if (!value.is_string() || value.get_string().empty()) return wrong_type("databases", kExpected);
    std::error_code error;
    const auto path = std::filesystem::weakly_canonical(
        std::filesystem::absolute(std::string(value.get_string()), error), error);
    if (error) return bad_input("option \"databases\": " + error.message());
    return path.string();
}

Status read_databases(const json::value& value, ServeOptions& out) {
    if (!value.is_array() || value.get_array().empty()) return wrong_type("databases", "an array of paths");
    for (const json::value& item : value.get_array()) {
        LITESTREAM_ASSIGN(std::string path, database_path(item));
        out.databases.push_back(std::move(path));
    }
    std::sort(out.databases.begin(), out.databases.end());
    return {};
}

Status read_token(const json::value& value, ServeOptions& out) {
    if (!value.is_string() || value.get_string().empty()) return wrong_type("token_file", "a path");
    LITESTREAM_ASSIGN(out.token, read_token_file(std::string(value.get_string())));
    return {};
}

Status read_option(std::string_view key, const json::value& value, ServeOptions& out) {
    const bool is_known = key == "databases" || key == "token_file" || key == "insecure";
    if (!is_known) {
        return bad_input("unknown option \"" + std::string(key) +
                         "\"; known are databases, token_file, insecure");
    }
    if (value.is_null()) return {};
    if (key == "databases") return read_databases(value, out);
    if (key == "token_file") return read_token(value, out);
    if (!value.is_bool()) return wrong_type("insecure", "true or false");
    out.insecure = value.get_bool();
    return {};
}

// A token file before the environment.
Result<ServeOptions> parse_serve_options(const std::string& address, const std::optional<std::string>& text) {
    ServeOptions options;
    options.address = address;
    json::object object;
    if (text) LITESTREAM_TRY(parse_json_object(*text, "options", object));
    for (const auto& [key, value] : object) {
        LITESTREAM_TRY(read_option(std::string_view(key.data(), key.size()), value, options));
    }
    if (!options.token.empty()) return options;
    LITESTREAM_ASSIGN(options.token, token_from_environment());
    return options;
}

// Stops again what this call started, unless it is kept.
class NewServer {
  public:
    explicit NewServer(bool is_new) : is_new_(is_new) {}
    NewServer(const NewServer&) = delete;
    NewServer& operator=(const NewServer&) = delete;
    ~NewServer() {
        if (is_new_) runtime().http_service().withdraw();
    }
    void keep() { is_new_ = false; }

  private:
    bool is_new_;
};

bool is_wanted(const Database& database, const ServeOptions& options) {
    const auto& wanted = options.databases;
    return wanted.empty() || std::find(wanted.begin(), wanted.end(), database.path()) != wanted.end();
}

// Other databases of the process, by now or later, may be what is to be served.
Status check_main(const Target& target, const ServeOptions& options) {
    if (target.database || !options.databases.empty()) return {};
    const auto open = runtime().replications();
    const bool is_any = std::any_of(open.begin(), open.end(), [](const auto& replication) {
        return replication->database().wants_capture() || replication->database().is_replica();
    });
    if (is_any) return {};
    return bad_input("nothing to serve: " + target.why);
}

Status capture_main(const Call& call, const Target& target) {
    LITESTREAM_ASSIGN(auto wal, WalMode::enter(call.connection(), target.schema));
    WantedCapture wanted(*target.database);
    Waiting waiting(call.connection(), kCaptureStartMs);
    LITESTREAM_TRY(wait_for_capture(call.connection(), target, waiting));
    if (wal.has_changed()) {
        record_event(target.database->path(), "journal_mode",
                     "journal_mode is now wal, for litestream_serve");
    }
    wal.keep();
    wanted.keep();
    return {};
}

Result<SqlValue> serve(const Call& call, const Target& target, const ServeOptions& options) {
    LITESTREAM_TRY(check_main(target, options));
    LITESTREAM_ASSIGN(const auto started, runtime().http_service().start(options));
    NewServer server(started.is_new);
    const bool is_primary = target.database && !target.database->is_replica();
    if (is_primary && is_wanted(*target.database, options)) LITESTREAM_TRY(capture_main(call, target));
    server.keep();
    return SqlValue(started.url);
}

Status refuse_forked(const Call& call, const Target& target) {
    if (!is_forked_child()) return {};
    return call.bad(target.why);
}

}  // namespace

Result<SqlValue> litestream_serve(const Call& call) {
    LITESTREAM_ASSIGN(const std::string address, call.text(0, "address"));
    LITESTREAM_ASSIGN(const auto text, call.optional_text(1, "options"));
    LITESTREAM_TRY(refuse_transaction(call));
    const int main_schema = 2;  // behind the arguments: none is given
    LITESTREAM_ASSIGN(const Target target, find_target(call, main_schema));
    LITESTREAM_TRY(refuse_forked(call, target));
    auto options = parse_serve_options(address, text);
    if (!options) return call.in_call(std::move(options).error());
    auto url = serve(call, target, *options);
    if (!url) return call.in_call(std::move(url).error());
    return url;
}

Result<SqlValue> litestream_serve_stop(const Call& call) {
    LITESTREAM_ASSIGN(const Target target, find_target(call, 0));
    LITESTREAM_TRY(refuse_forked(call, target));
    return SqlValue(std::int64_t{runtime().http_service().stop()});
}

}  // namespace litestream
