#include "ext/remembered.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>

#include "shared/base/directory.h"
#include "shared/base/json.h"
#include "shared/base/machine.h"
#include "shared/base/text.h"

namespace litestream {
namespace {

namespace json = boost::json;

constexpr const char* kFileName = "replicas.json";
constexpr std::size_t kMaxFileSize = 1u << 20;
constexpr std::size_t kMaxNameSize = 64;
constexpr std::size_t kMaxReplicas = 1000;
constexpr std::uint64_t kVersion = 1;

// --- Who may have written it ---

Status check_owner(const struct stat& status, const std::string& path) {
    if (status.st_uid != ::geteuid()) {
        return Error{ErrorCode::kCantOpen, path + ": belongs to user " + std::to_string(status.st_uid) +
                                               ", not to " + std::to_string(::geteuid()) +
                                               " who runs this process"};
    }
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return Error{ErrorCode::kCantOpen, path + ": can be written by other users; chmod go-w"};
    }
    return {};
}

Status check_owner(const File& file) {
    LITESTREAM_ASSIGN(const struct stat status, file.status());
    return check_owner(status, file.path());
}

// Relative to the directory that was checked, whatever its name stands for by now. Not open: no such file.
Result<File> open_in(const File& directory, const char* name) {
    const std::string path = join_path(directory.path(), name);
    const int descriptor =
        ::openat(directory.descriptor(), name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (descriptor >= 0) return File(descriptor, path);
    if (errno == ENOENT) return File();
    return system_error(errno, path, "open");
}

// --- From JSON ---

Error malformed(const char* what) { return corrupt(std::string("has no valid \"") + what + "\""); }

Result<std::string> get_text(const json::object& object, const char* key) {
    const json::value* value = object.if_contains(key);
    if (value == nullptr || !value->is_string()) return malformed(key);
    return std::string(value->get_string());
}

Result<std::uint64_t> get_number(const json::object& object, const char* key) {
    const json::value* value = object.if_contains(key);
    if (value == nullptr || !value->is_number()) return malformed(key);
    json::error_code error;
    const auto number = value->to_number<std::uint64_t>(error);
    if (error) return malformed(key);
    return number;
}

Result<DatabaseIdentity> get_identity(const json::object& object) {
    const json::value* value = object.if_contains("database");
    if (value == nullptr || !value->is_object()) return malformed("database");
    const json::object& database = value->get_object();
    DatabaseIdentity identity;
    LITESTREAM_ASSIGN(identity.path, get_text(database, "path"));
    LITESTREAM_ASSIGN(identity.device, get_number(database, "device"));
    LITESTREAM_ASSIGN(identity.inode, get_number(database, "inode"));
    LITESTREAM_ASSIGN(identity.machine, get_text(database, "machine"));
    return identity;
}

// One that is absent keeps its default.
Status get_interval(const json::object& options, const ReplicaInterval& interval, ReplicaSpec& spec) {
    if (!options.contains(interval.key)) return {};
    LITESTREAM_ASSIGN(const std::string text, get_text(options, interval.key));
    LITESTREAM_ASSIGN(spec.*interval.member, parse_duration_ms(text));
    return {};
}

Result<ReplicaSpec> get_replica(const json::value& value) {
    if (!value.is_object()) return malformed("replicas");
    ReplicaSpec spec;
    LITESTREAM_ASSIGN(spec.name, get_text(value.get_object(), "name"));
    LITESTREAM_TRY(check_replica_name(spec.name));
    LITESTREAM_ASSIGN(spec.url, get_text(value.get_object(), "url"));
    const json::value* options = value.get_object().if_contains("options");
    if (options == nullptr || !options->is_object()) return malformed("options");
    for (const ReplicaInterval& interval : kReplicaIntervals) {
        LITESTREAM_TRY(get_interval(options->get_object(), interval, spec));
    }
    return spec;
}

Result<UpstreamSpec> get_upstream(const json::value& value) {
    if (!value.is_object()) return malformed("upstream");
    UpstreamSpec upstream;
    LITESTREAM_ASSIGN(upstream.url, get_text(value.get_object(), "url"));
    const json::value* options = value.get_object().if_contains("options");
    if (options == nullptr || !options->is_object()) return malformed("options");
    const json::object& object = options->get_object();
    LITESTREAM_ASSIGN(const std::string interval, get_text(object, "interval"));
    LITESTREAM_ASSIGN(upstream.interval_ms, parse_duration_ms(interval));
    if (object.contains("token_file")) {
        LITESTREAM_ASSIGN(upstream.token_file, get_text(object, "token_file"));
    }
    if (const json::value* following = value.get_object().if_contains("following")) {
        if (!following->is_bool()) return malformed("following");
        upstream.is_followed = following->get_bool();
    }
    return upstream;
}

Result<Remembered> parse_remembered(std::string_view text) {
    json::object object;
    LITESTREAM_TRY(parse_json_object(text, "it", object));
    LITESTREAM_ASSIGN(const std::uint64_t version, get_number(object, "version"));
    if (version != kVersion)
        return corrupt("has version " + std::to_string(version) + ", which is not known here");
    Remembered remembered;
    LITESTREAM_ASSIGN(remembered.database, get_identity(object));
    LITESTREAM_ASSIGN(remembered.id, get_text(object, "id"));
    const json::value* replicas = object.if_contains("replicas");
    if (replicas == nullptr || !replicas->is_array()) return malformed("replicas");
    if (replicas->get_array().size() > kMaxReplicas) return malformed("replicas");
    for (const json::value& value : replicas->get_array()) {
        LITESTREAM_ASSIGN(ReplicaSpec spec, get_replica(value));
        remembered.replicas.push_back(std::move(spec));
    }
    if (const json::value* upstream = object.if_contains("upstream")) {
        LITESTREAM_ASSIGN(remembered.upstream, get_upstream(*upstream));
    }
    return remembered;
}

// --- To JSON ---

json::object to_json(const DatabaseIdentity& identity) {
    return {{"path", identity.path},
            {"device", identity.device},
            {"inode", identity.inode},
            {"machine", identity.machine}};
}

json::object to_json(const ReplicaSpec& spec) {
    json::object options;
    for (const ReplicaInterval& interval : kReplicaIntervals) {
        options[interval.key] = format_duration(spec.*interval.member);
    }
    return {{"name", spec.name}, {"url", spec.url}, {"options", options}};
}

json::object to_json(const UpstreamSpec& upstream) {
    json::object options;
    options["interval"] = format_duration(upstream.interval_ms);
    if (!upstream.token_file.empty()) options["token_file"] = upstream.token_file;
    json::object object = {{"url", upstream.url}, {"options", options}};
    if (!upstream.is_followed) object["following"] = false;
    return object;
}

std::string to_text(const Remembered& remembered) {
    json::array replicas;
    for (const ReplicaSpec& spec : remembered.replicas) replicas.push_back(to_json(spec));
    json::object object;
    object["version"] = kVersion;
    object["database"] = to_json(remembered.database);
    object["id"] = remembered.id;
    object["replicas"] = std::move(replicas);
    if (remembered.upstream) object["upstream"] = to_json(*remembered.upstream);
    return to_indented_json(object) + "\n";
}

}  // namespace

Status check_replica_name(const std::string& name) {
    const auto is_plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    const auto is_allowed = [&](char c) { return is_plain(c) || c == '.' || c == '_' || c == '-'; };
    const bool good = !name.empty() && name.size() <= kMaxNameSize && is_plain(name[0]) &&
                      std::all_of(name.begin(), name.end(), is_allowed) && !name.ends_with(".tmp");
    if (good) return {};
    return bad_input("\"" + name +
                     "\" is no name for a replica: letters, digits, '.', '_' and '-', at most 64");
}

Result<DatabaseIdentity> DatabaseIdentity::of(const std::string& database_path) {
    // By name, never by a descriptor: closing one would drop SQLite's locks.
    struct stat status = {};
    if (::lstat(database_path.c_str(), &status) != 0) return system_error(errno, database_path, "stat");
    return DatabaseIdentity{database_path, status.st_dev, status.st_ino, machine_id()};
}

Result<std::optional<Remembered>> read_remembered(const std::string& meta_directory) {
    auto directory = File::open(meta_directory, O_RDONLY | O_DIRECTORY);
    if (!directory && directory.error().code == ErrorCode::kNotFound) return std::optional<Remembered>();
    LITESTREAM_TRY(directory);
    LITESTREAM_ASSIGN(const File file, open_in(*directory, kFileName));
    if (!file.is_open()) return std::optional<Remembered>();
    LITESTREAM_TRY(check_owner(*directory));
    LITESTREAM_TRY(check_owner(file));
    LITESTREAM_ASSIGN(const struct stat status, file.status());
    if (!S_ISREG(status.st_mode) || static_cast<std::uint64_t>(status.st_size) > kMaxFileSize) {
        return corrupt(file.path() + ": is no regular file of at most 1 MiB");
    }
    Bytes bytes(static_cast<std::size_t>(status.st_size));
    LITESTREAM_TRY(file.read_exactly_at(0, bytes));
    auto remembered = parse_remembered(as_text(bytes));
    if (!remembered) return std::move(remembered).error().context(file.path());
    return std::optional(*std::move(remembered));
}

Status write_remembered(const std::string& meta_directory, const Remembered& remembered) {
    LITESTREAM_ASSIGN(const File directory, File::open(meta_directory, O_RDONLY | O_DIRECTORY));
    if (auto status = check_owner(directory); !status) {
        return std::move(status).error().context("what is remembered there would not be followed");
    }
    // Not under *.tmp: capture, when it opens the meta directory, removes those as leftovers.
    LITESTREAM_ASSIGN(TempFile file, TempFile::create(join_path(meta_directory, kFileName), ".new", 0600));
    LITESTREAM_TRY(file.file().write(as_bytes(to_text(remembered))));
    return file.publish(Durability::kSynced, Replace::kAllowed);
}

bool is_remembered(const std::string& meta_directory) {
    return file_exists(join_path(meta_directory, kFileName));
}

Status forget_remembered(const std::string& meta_directory) {
    return remove_file(join_path(meta_directory, kFileName));
}

Status check_same_database(const DatabaseIdentity& remembered, const DatabaseIdentity& actual) {
    const char* difference = nullptr;
    if (remembered.machine != actual.machine)
        difference = "on another machine";
    else if (remembered.path != to_utf8(actual.path))  // as it was written
        difference = "at another path";
    else if (remembered.device != actual.device || remembered.inode != actual.inode)
        difference = "as another file";
    if (difference == nullptr) return {};
    return bad_input(std::string("its replicas were set up ") + difference + " (" + remembered.path +
                     "), so that nothing is sent to them; litestream_replicate(url) sets up this database");
}

}  // namespace litestream
