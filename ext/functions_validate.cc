// litestream_validate: a replica is read back, and the report is JSON. That it does not restore is what the
// report says, not an error of the call.
#include <boost/json.hpp>

#include "ext/connection.h"
#include "ext/functions.h"
#include "ext/options.h"
#include "ext/runtime.h"
#include "ext/validation.h"
#include "shared/base/json.h"

namespace litestream {
namespace {

namespace json = boost::json;

constexpr std::int64_t kNoTimeLimitMs = INT64_MAX / 2;

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

Result<SqlValue> validate(const Call& call, const Target& target, const std::string& url_text,
                          const std::optional<Position>& position) {
    LITESTREAM_ASSIGN(const Url url, parse_replica_url(url_text));
    LITESTREAM_ASSIGN(const auto client, open_replica_client(url));
    Waiting waiting(call.connection(), kNoTimeLimitMs);
    ValidationRequest request;
    request.position = position;
    request.stop = waiting.stop();
    request.directory = validation_directory(target.database ? target.database->path() : "");
    const auto replication = target.database ? runtime().replication_of(target.database) : nullptr;
    const auto member = replication ? replication->find(client->url()) : nullptr;
    Result<Validation> validation = Validation();
    if (member) {
        LiveDatabase live{replication->images(), *member};
        validation = validate_replica(*client, &live, request);
    } else {
        validation = validate_replica(*client, nullptr, request);
    }
    LITESTREAM_TRY(validation);
    return SqlValue(to_indented_json(to_json(client->url(), *validation)));
}

}  // namespace

Result<SqlValue> litestream_validate(const Call& call) {
    LITESTREAM_ASSIGN(const std::string url, call.text(0, "url"));
    LITESTREAM_ASSIGN(const auto options, call.optional_text(1, "options"));
    LITESTREAM_ASSIGN(const Target target, find_target(call, 2));
    auto position = parse_validate_options(options);
    if (!position) return call.in_call(std::move(position).error());
    auto report = validate(call, target, url, *position);
    if (!report) return call.in_call(std::move(report).error());
    return report;
}

}  // namespace litestream
