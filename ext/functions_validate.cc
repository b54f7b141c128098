// litestream_validate: a replica is read back, and the report is JSON. That it does not restore is what the
// report says, not an error of the call.
#include <boost/json.hpp>

#include "ext/connection.h"
#include "ext/functions.h"
#include "ext/interrupt.h"
#include "ext/options.h"
#include "ext/runtime.h"
#include "ext/validation.h"
#include "shared/base/json.h"

namespace litestream {
namespace {

namespace json = boost::json;

json::value or_null(const std::string& text) {
    if (text.empty()) return nullptr;
    return json::value(text);
}

json::object to_json(const std::string& url, const Validation& validation) {
    const ValidationReport& report = validation.report;
    json::object object;
    object["ok"] = report.ok;
    object["url"] = url;
    object["generation"] = or_null(report.generation);
    object["position"] = or_null(report.position.to_string());
    object["snapshots"] = report.snapshots;
    object["segments"] = report.segments;
    object["bytes"] = report.bytes;
    object["pages"] = report.pages;
    object["compared"] = validation.is_compared;
    object["not_compared"] = or_null(validation.not_compared);
    object["note"] = or_null(report.note);
    object["error"] = or_null(report.error);
    return object;
}

Result<Validation> validate(const Target& target, ReplicaClient& client, const RestoreOptions& options,
                            const Stop& stop) {
    ValidationRequest request;
    request.position = options.position;
    request.parallelism = options.parallelism;
    request.stop = stop;
    request.directory = validation_directory(target.database ? target.database->path() : "");
    const auto replication = target.database ? runtime().replication_of(target.database) : nullptr;
    const auto member = replication ? replication->find(client.url()) : nullptr;
    if (!member) return validate_replica(client, nullptr, request);
    LiveDatabase live{replication->images(), *member};
    return validate_replica(client, &live, request);
}

Result<SqlValue> validate_interruptibly(const Call& call, const Target& target,
                                        const RestoreRequest& request) {
    LITESTREAM_ASSIGN(const auto client, open_replica_client(request.url));
    Validation validation;
    const auto work = [&](const Stop& stop) -> Status {
        LITESTREAM_ASSIGN(validation, validate(target, *client, request.options, stop));
        return {};
    };
    LITESTREAM_TRY(run_interruptibly(call.connection(), [&client] { client->cancel(); }, work));
    return SqlValue(to_indented_json(to_json(client->url(), validation)));
}

}  // namespace

Result<SqlValue> litestream_validate(const Call& call) {
    LITESTREAM_ASSIGN(const std::string url, call.text(0, "url"));
    LITESTREAM_ASSIGN(const auto options, call.optional_text(1, "options"));
    LITESTREAM_ASSIGN(const Target target, find_target(call, 2));
    const auto request = parse_validate_options(url, options);
    if (!request) return call.in_call(request.error());
    auto report = validate_interruptibly(call, target, *request);
    if (!report) return call.in_call(std::move(report).error());
    return report;
}

}  // namespace litestream
