// A process of the simulated machine: the production code with the system's SQLite on a PowerDisk. One
// command a line on stdin; the answer is rows, each behind a '|', then a line `ok` or `error CODE MESSAGE`.
//
//   open NAME URI         a connection of that name; a path: through the VFS "litestream"
//   close NAME
//   sql NAME STATEMENTS   the first column of each row; what an error leaves of a transaction is rolled back
//   positions URL         of a replica: `generation/index:offset` of each snapshot ("+" in front) and commit
//   disk COMMAND          tests/scenario/power_disk.h
//   die                   as by SIGKILL
//
//   sim-worker ROOT JOURNAL BOOT-ID-FILE
//
// The end of stdin closes everything. What SQLite logs goes to stderr. Thread-bound.
#include <sqlite3.h>
#include <sys/prctl.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include "ext/entry.h"
#include "shared/replica/replica_client.h"
#include "tests/scenario/power_disk.h"

using namespace litestream;
using namespace litestream::test;

namespace {

constexpr int kBusyTimeoutMs = 10'000;

struct CloseConnection {
    // Nothing of ours keeps it open.
    void operator()(sqlite3* connection) const {
        if (sqlite3_close(connection) != SQLITE_OK) std::abort();
    }
};

std::map<std::string, std::unique_ptr<sqlite3, CloseConnection>> connections;

void row(std::string text) {
    for (char& c : text) c = c == '\n' ? ' ' : c;
    std::printf("|%s\n", text.c_str());
}

std::string take_word(std::string& rest) {
    const auto space = rest.find(' ');
    std::string word = rest.substr(0, space);
    rest = space == std::string::npos ? "" : rest.substr(space + 1);
    return word;
}

[[noreturn]] void failed(int code, std::string message) {
    for (char& c : message) c = c == '\n' ? ' ' : c;
    throw std::runtime_error(std::to_string(code) + " " + message);
}

int on_row(void*, int, char** values, char**) {
    row(values[0] != nullptr ? values[0] : "NULL");
    return 0;
}

void open(const std::string& name, const std::string& uri) {
    constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI;
    sqlite3* raw = nullptr;
    const int code = sqlite3_open_v2(uri.c_str(), &raw, kFlags, uri[0] == '/' ? "litestream" : nullptr);
    std::unique_ptr<sqlite3, CloseConnection> connection(raw);
    if (code != SQLITE_OK) failed(code, sqlite3_errmsg(raw));
    sqlite3_busy_timeout(raw, kBusyTimeoutMs);
    connections[name] = std::move(connection);
}

void run(const std::string& name, const std::string& sql) {
    const auto found = connections.find(name);
    if (found == connections.end()) failed(SQLITE_MISUSE, name + " is not open");
    sqlite3* connection = found->second.get();
    if (sqlite3_exec(connection, sql.c_str(), on_row, nullptr, nullptr) == SQLITE_OK) return;
    const int code = sqlite3_extended_errcode(connection);
    const std::string message = sqlite3_errmsg(connection);
    if (sqlite3_get_autocommit(connection) == 0) {
        sqlite3_exec(connection, "ROLLBACK", nullptr, nullptr, nullptr);
    }
    failed(code, message);
}

template <class T>
T value_of(Result<T> result) {
    if (!result) failed(SQLITE_ERROR, result.error().message);
    return *std::move(result);
}

// nullopt: retention came first.
std::optional<Trailer> trailer_of(ReplicaClient& client, const std::string& name) {
    auto trailer = client.trailer(name);
    if (!trailer && trailer.error().code == ErrorCode::kNotFound) return std::nullopt;
    auto found = value_of(std::move(trailer));
    if (!found) failed(SQLITE_ERROR, name + " has no trailer");
    return found;
}

void list_positions(const std::string& url) {
    const auto client = value_of(open_replica_client(value_of(Url::parse(url))));
    for (const std::string& generation : value_of(client->generations())) {
        for (const SnapshotInfo& snapshot : value_of(client->snapshots(generation))) {
            if (const auto trailer = trailer_of(*client, snapshot.name))
                row("+" + trailer->end().to_string());
        }
        for (const SegmentInfo& segment : value_of(client->segments(generation))) {
            const auto trailer = trailer_of(*client, segment.name);
            for (const Commit& commit : trailer ? trailer->commits : std::vector<Commit>()) {
                row(Position{generation, segment.index, commit.end_offset}.to_string());
            }
        }
    }
}

void obey(std::string line) {
    const std::string verb = take_word(line);
    if (verb == "die") die_on_power_disk();
    if (verb == "disk") {
        if (!command_power_disk(line)) failed(SQLITE_ERROR, "the disk refuses: " + line);
    } else if (verb == "positions") {
        list_positions(line);
    } else {
        const std::string name = take_word(line);
        if (verb == "open") open(name, line);
        if (verb == "close") connections.erase(name);
        if (verb == "sql") run(name, line);
    }
}

void log_to_stderr(void*, int code, const char* message) { std::fprintf(stderr, "(%d) %s\n", code, message); }

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) return 2;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    begin_power_disk(argv[1], argv[2], argv[3]);
    sqlite3_config(SQLITE_CONFIG_LOG, log_to_stderr, nullptr);
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(litestream_init));
    open("loader", ":memory:");
    std::string line;
    while (std::getline(std::cin, line)) {
        try {
            obey(line);
            std::puts("ok");
        } catch (const std::exception& error) {
            std::printf("error %s\n", error.what());
        }
        std::fflush(stdout);
    }
    connections.clear();
    return 0;
}
