#include "shared/replica/owner.h"

#include <algorithm>
#include <boost/json.hpp>

#include "shared/base/clock.h"
#include "shared/base/json.h"

namespace litestream {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxRecordSize = 64u << 10;
constexpr const char* kWayOut =
    "; choose another URL, or take it over: replicate to it with the option {\"adopt\":true}";

Result<std::string> read_text(Source& source) {
    std::string text;
    Bytes buffer(4096);
    while (true) {
        LITESTREAM_ASSIGN(const std::size_t size, source.read(buffer));
        if (size == 0) return text;
        text += as_text(ByteView(buffer).first(size));
        if (text.size() > kMaxRecordSize) return corrupt("is too long");
    }
}

Result<OwnerRecord> parse_record(const std::string& text) {
    json::object object;
    if (auto status = parse_json_object(text, "the owner record", object); !status) {
        return corrupt(std::move(status).error().message);
    }
    OwnerRecord record;
    record.owner = {json_text(object, "id"), json_text(object, "database"), json_text(object, "machine")};
    if (record.owner.id.empty()) return corrupt("names no id");
    const auto created = parse_time(json_text(object, "created"));
    record.created_ms = created ? *created : 0;
    return record;
}

Producer record_producer(const Owner& owner, std::int64_t now_ms) {
    json::object object;
    object["id"] = owner.id;
    object["database"] = owner.database;
    object["machine"] = owner.machine;
    object["created"] = format_time(now_ms);
    return [text = to_indented_json(object) + "\n"](const Sink& sink) { return sink(as_bytes(text)); };
}

struct Newest {
    std::string generation;  // empty: there is no file
    std::int64_t created_ms = 0;

    void see(const std::string& name, std::int64_t time_ms) {
        if (!generation.empty() && time_ms < created_ms) return;
        generation = name;
        created_ms = time_ms;
    }
};

Result<Newest> newest_generation(ReplicaClient& client) {
    Newest newest;
    LITESTREAM_ASSIGN(const auto names, client.generations());
    for (const std::string& name : names) {
        LITESTREAM_ASSIGN(const auto snapshots, client.snapshots(name));
        for (const SnapshotInfo& snapshot : snapshots) newest.see(name, snapshot.created_ms);
        LITESTREAM_ASSIGN(const auto segments, client.segments(name));
        for (const SegmentInfo& segment : segments) newest.see(name, segment.created_ms);
    }
    return newest;
}

std::string refusal_of(ReplicaClient& client, const OwnerRecord& record) {
    return client.url() + ": belongs to the database " + record.owner.database + " on machine " +
           record.owner.machine + " since " + format_time(record.created_ms) + kWayOut;
}

// The record that somebody wrote between our look and our publish().
Result<std::string> check_rival(ReplicaClient& client, const Owner& owner) {
    LITESTREAM_ASSIGN(const auto record, read_owner(client));
    if (!record) return Error{ErrorCode::kBusy, client.url() + ": its owner record comes and goes"};
    return record->owner.id == owner.id ? std::string() : refusal_of(client, *record);
}

Result<std::string> claim_unowned(ReplicaClient& client, const Owner& owner, const std::string& generation,
                                  bool adopt, std::int64_t now_ms) {
    if (!adopt) {
        LITESTREAM_ASSIGN(const Newest newest, newest_generation(client));
        if (!newest.generation.empty() && newest.generation != generation) {
            return client.url() + ": holds data of another database or another time (generation " +
                   newest.generation + ", " + format_time(newest.created_ms) + ") and no owner record" +
                   kWayOut;
        }
    }
    const Status published = client.publish(kOwnerName, record_producer(owner, now_ms));
    if (published) return std::string();
    if (published.error().code != ErrorCode::kExists) return published.error();
    return check_rival(client, owner);
}

}  // namespace

Result<std::optional<OwnerRecord>> read_owner(ReplicaClient& client) {
    const auto source = client.open(kOwnerName);
    if (!source && source.error().code == ErrorCode::kNotFound) return std::optional<OwnerRecord>();
    LITESTREAM_TRY(source);
    LITESTREAM_ASSIGN(const std::string text, read_text(**source));
    auto record = parse_record(text);
    if (!record) return std::move(record).error().context(client.url() + "/" + kOwnerName);
    return std::optional(*std::move(record));
}

Result<std::string> claim(ReplicaClient& client, const Owner& owner, const std::string& generation,
                          bool adopt, std::int64_t now_ms) {
    if (owner.id.empty()) return std::string();
    const auto record = read_owner(client);
    const bool is_damaged = !record && record.error().code == ErrorCode::kCorrupt;
    if (!record && !is_damaged) return record.error();
    if (record && !*record) return claim_unowned(client, owner, generation, adopt, now_ms);
    if (record && (*record)->owner.id == owner.id) return std::string();
    if (adopt) {
        LITESTREAM_TRY(client.replace(kOwnerName, record_producer(owner, now_ms)));
        return std::string();
    }
    // It may read well the next time: what came may be a proxy's page.
    if (is_damaged) return corrupt(record.error().message + kWayOut);
    return refusal_of(client, **record);
}

}  // namespace litestream
