// litestream_restore: the caller's options, the host's quick_check, and progress around
// shared/replica/restorer.h.
#include <sys/stat.h>

#include <cstdio>
#include <optional>

#include "ext/functions.h"
#include "ext/host_check.h"
#include "ext/interrupt.h"
#include "ext/options.h"
#include "shared/base/clock.h"
#include "shared/base/directory.h"
#include "shared/replica/replica_client.h"

namespace litestream {
namespace {

constexpr std::int64_t kProgressEveryMs = 1000;

// Asked for by the option; the one thing that we write to stderr.
class ProgressLine {
  public:
    void show(std::uint64_t bytes) {
        const std::int64_t now_ms = steady_clock_ms();
        if (now_ms < next_ms_) return;
        next_ms_ = now_ms + kProgressEveryMs;
        std::fprintf(stderr, "litestream_restore: %llu MiB written\n",
                     static_cast<unsigned long long>(bytes >> 20));
    }

  private:
    std::int64_t next_ms_ = 0;
};

Status check_parent(const std::string& path) {
    const std::string parent = parent_directory(path);
    struct stat status = {};
    if (::stat(parent.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return {};
    return Error{ErrorCode::kCantOpen, path + ": there is no directory " + parent + "; create it first"};
}

// Only what lists as a snapshot can be restored; a generation without one has not been finished.
Result<bool> has_backups(ReplicaClient& client) {
    LITESTREAM_ASSIGN(const auto generations, client.generations());
    for (const std::string& generation : generations) {
        LITESTREAM_ASSIGN(const auto snapshots, client.snapshots(generation));
        if (!snapshots.empty()) return true;
    }
    return false;
}

// The text that litestream_restore gives; nullopt: there is nothing to restore, which is as asked.
Result<std::optional<std::string>> restore_as(ReplicaClient& client, const std::string& path,
                                              RestoreRequest& request, const Stop& stop) {
    if (request.if_replica_exists) {
        LITESTREAM_ASSIGN(const bool exists, has_backups(client));
        if (!exists) return std::optional<std::string>();
    }
    ProgressLine line;
    request.options.on_progress = [&](std::uint64_t bytes) -> Status {
        if (request.progress) line.show(bytes);
        return stop() ? Status(Error{ErrorCode::kInterrupt, "interrupted"}) : Status();
    };
    request.options.check = [&](const std::string& file, bool needed) -> Status {
        return needed ? quick_check(file, stop) : Status();
    };
    LITESTREAM_ASSIGN(const RestoreResult result, restore(client, path, request.options));
    std::string text = result.position.to_string();
    if (!result.note.empty()) text += " (" + result.note + ")";
    return std::optional(std::move(text));
}

Result<SqlValue> restore_interruptibly(const Call& call, ReplicaClient& client, const std::string& path,
                                       RestoreRequest request) {
    std::optional<std::string> text;
    const auto work = [&](const Stop& stop) -> Status {
        LITESTREAM_ASSIGN(text, restore_as(client, path, request, stop));
        return {};
    };
    LITESTREAM_TRY(run_interruptibly(call.connection(), [&client] { client.cancel(); }, work));
    return text ? SqlValue(*std::move(text)) : SqlValue();
}

// `restore URL: ...`, where the lower floors have not named the URL already.
Error in_restore(const std::string& url, Error error) {
    if (!error.message.starts_with(url + ": ")) error = std::move(error).context(url);
    error.message.insert(0, "restore ");
    return error;
}

}  // namespace

Result<SqlValue> litestream_restore(const Call& call) {
    LITESTREAM_ASSIGN(const std::string url, call.text(0, "url"));
    LITESTREAM_ASSIGN(const std::string path, call.text(1, "path"));
    LITESTREAM_ASSIGN(const auto options, call.optional_text(2, "options"));
    if (path.empty()) return call.bad("path must not be empty");
    auto request = parse_restore_options(url, options);
    if (!request) return call.in_call(std::move(request).error());
    auto client = open_replica_client(request->url);
    if (!client) return call.in_call(std::move(client).error());
    if (file_exists(path)) {
        if (request->if_db_not_exists) return SqlValue();
        return call.in_call(
            {ErrorCode::kExists, path + ": exists already and is not replaced; choose another path"});
    }
    if (auto status = check_parent(path); !status) return call.in_call(std::move(status).error());
    auto position = restore_interruptibly(call, **client, path, *std::move(request));
    if (!position) return in_restore((*client)->url(), std::move(position).error());
    return position;
}

}  // namespace litestream
