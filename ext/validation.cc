#include "ext/validation.h"

#include <stdlib.h>
#include <unistd.h>

#include "ext/host_check.h"
#include "shared/base/directory.h"

namespace litestream {
namespace {

// The live database, pinned, once the replica has its position. Null: `why` says why there is none.
std::unique_ptr<DatabaseImage> pin(LiveDatabase& live, const ValidationRequest& request, std::string& why) {
    auto image = live.images.pin();
    if (!image) {
        why = std::move(image).error().message;
        return nullptr;
    }
    const Position position = (*image)->trailer().end();
    live.member.sync_now();
    const auto timeout_ms = static_cast<int>(request.catch_up_ms);
    if (live.member.wait_for(position, timeout_ms, request.stop, true)) return *std::move(image);
    const std::string error = live.member.status().last_error;
    why = "the replica did not come up to " + position.to_string() + (error.empty() ? "" : ": " + error);
    return nullptr;
}

// An image that cannot be read any more says nothing about the replica.
Status compare(const std::string& path, DatabaseImage& image, Validation& out) {
    const auto difference = compare_with_image(path, image);
    if (!difference) {
        out.not_compared = difference.error().message;
        return {};
    }
    out.is_compared = true;
    if (!*difference) return {};
    return corrupt("it is not the live database at " + image.trailer().end().to_string() + ": " +
                   (*difference)->what);
}

}  // namespace

Result<Validation> validate_replica(ReplicaClient& client, LiveDatabase* live,
                                    const ValidationRequest& request) {
    Validation validation;
    std::unique_ptr<DatabaseImage> image;
    if (request.position) {
        validation.not_compared = "a position was asked for";
    } else if (live == nullptr) {
        validation.not_compared = "the database that is replicated there is not open here";
    } else {
        image = pin(*live, request, validation.not_compared);
    }
    ValidateOptions options;
    options.directory = request.directory;
    options.restore.position = request.position;
    options.restore.parallelism = request.parallelism;
    if (image) options.restore.position = image->trailer().end();
    options.restore.on_progress = [&](std::uint64_t) -> Status {
        if (request.stop && request.stop()) return Error{ErrorCode::kInterrupt, "interrupted"};
        return {};
    };
    options.inspect = [&](const std::string& path, const Position&) -> Status {
        LITESTREAM_TRY(quick_check(path, request.stop));
        return image ? compare(path, *image, validation) : Status();
    };
    LITESTREAM_ASSIGN(validation.report, validate(client, options));
    if (!validation.report.ok && !validation.is_compared) validation.not_compared.clear();
    return validation;
}

std::string validation_directory(const std::string& database_path) {
    const std::string beside = parent_directory(database_path);
    if (!database_path.empty() && ::access(beside.c_str(), W_OK) == 0) return beside;
    const char* temporary = ::secure_getenv("TMPDIR");
    return temporary != nullptr && *temporary != '\0' ? temporary : "/tmp";
}

}  // namespace litestream
