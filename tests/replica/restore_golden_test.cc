// Replicas that Litestream itself wrote (tests/data/golden) come back as what they were.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sqlite3.h>

#include <memory>

#include "shared/base/text.h"
#include "tests/replica/replica_files.h"

namespace litestream {
namespace {

constexpr const char* kSample = "56c5be10fb222d63";
constexpr std::uint64_t kSampleIndexes = 9;

using Database = std::unique_ptr<sqlite3, int (*)(sqlite3*)>;

Database open_database(const std::string& path) {
    sqlite3* handle = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &handle) == SQLITE_OK);
    return {handle, sqlite3_close};
}

// Every row of a query, the values with their types.
std::string rows(sqlite3* database, const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    REQUIRE_MESSAGE(sqlite3_prepare_v2(database, sql.c_str(), -1, &statement, nullptr) == SQLITE_OK, sql);
    std::string text;
    while (sqlite3_step(statement) == SQLITE_ROW) {
        for (int column = 0; column < sqlite3_column_count(statement); ++column) {
            text += std::to_string(sqlite3_column_type(statement, column)) + ":";
            const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, column));
            if (bytes != nullptr) text.append(bytes, sqlite3_column_bytes(statement, column));
            text += '|';
        }
        text += '\n';
    }
    REQUIRE(sqlite3_finalize(statement) == SQLITE_OK);
    return text;
}

std::vector<std::string> tables(sqlite3* database) {
    std::vector<std::string> names;
    const auto add = [](void* out, int, char** values, char**) {
        static_cast<std::vector<std::string>*>(out)->push_back(values[0]);
        return 0;
    };
    REQUIRE(sqlite3_exec(database, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name", add,
                         &names, nullptr) == SQLITE_OK);
    return names;
}

std::string dump(sqlite3* database) {
    std::string text =
        rows(database, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name");
    for (const std::string& table : tables(database))
        text += table + '\n' + rows(database, "SELECT * FROM " + table);
    return text;
}

void check_same_as_dump(ReplicaFiles& files, const std::string& golden) {
    const auto restored = restore(files.client(), files.output(), {});
    REQUIRE_MESSAGE(restored, restored.error().message);
    const Database database = open_database(files.output());
    const Database expected = open_database(":memory:");
    const Bytes sql = read_whole(std::string(TEST_DATA) + "/golden/" + golden + "/expected.sql");
    REQUIRE(sqlite3_exec(expected.get(), std::string(as_text(sql)).c_str(), nullptr, nullptr, nullptr) ==
            SQLITE_OK);

    CHECK(rows(database.get(), "PRAGMA integrity_check") == "3:ok|\n");
    CHECK(dump(database.get()) == dump(expected.get()));
    CHECK(dump(expected.get()).size() > 10'000);
}

Bytes expected_sample(std::uint64_t index) {
    return read_whole(std::string(TEST_DATA) + "/golden/e6f7c60-sample/expected/" + to_hex16(index) + ".db");
}

}  // namespace

TEST_CASE("every index of a replica by Litestream e6f7c60 restores to the same bytes") {
    ReplicaFiles files;
    files.copy_golden("e6f7c60-sample");

    for (std::uint64_t index = 0; index < kSampleIndexes; ++index) {
        const Restored restored = files.restore_index(index);
        INFO(index);
        REQUIRE_MESSAGE(restored.result, restored.message());
        CHECK(restored.database == expected_sample(index));
        CHECK(restored.position().index == index);
        CHECK(restored.note().find("could not be proven") != std::string::npos);
    }
    CHECK(files.restore().database == expected_sample(kSampleIndexes - 1));
}

TEST_CASE("a position at the end of an index by Litestream restores as the index does") {
    ReplicaFiles files;
    files.copy_golden("e6f7c60-sample");

    for (std::uint64_t index = 0; index < kSampleIndexes; ++index) {
        const Position end = files.restore_index(index).position();
        INFO(end.to_string());
        const Restored restored = files.restore_position(end);
        REQUIRE_MESSAGE(restored.result, restored.message());
        CHECK(restored.database == expected_sample(index));
        CHECK(restored.position() == end);
    }
}

TEST_CASE("every commit behind the snapshot's index is a position that restores") {
    ReplicaFiles files;
    files.copy_golden("e6f7c60-sample");
    constexpr std::uint64_t kFrame = 4096 + 24;

    const Restored first = files.restore_position({kSample, 1, 32 + kFrame});
    const Restored none = files.restore_position({kSample, 1, 32 + kFrame + 1});
    const Restored own_index = files.restore_position({kSample, 0, 0x70c8});

    REQUIRE_MESSAGE(first.result, first.message());
    CHECK(first.position().offset == 32 + kFrame);
    CHECK(none.is_refused());
    CHECK(none.message().find("is not the end of a commit; the nearest before is " +
                              Position{kSample, 1, 32 + kFrame}.to_string()) != std::string::npos);
    CHECK(none.message().find("the nearest after " + Position{kSample, 1, 32 + 2 * kFrame}.to_string()) !=
          std::string::npos);
    CHECK(own_index.is_refused());
    CHECK(own_index.message().find("of which only the end can be restored") != std::string::npos);
}

TEST_CASE("a replica by Litestream e6f7c60 with VACUUM, savepoints and spills restores") {
    ReplicaFiles files;
    files.copy_golden("litestream-e6f7c60");
    check_same_as_dump(files, "litestream-e6f7c60");
}

TEST_CASE("a replica by Litestream 0.3.13 restores") {
    ReplicaFiles files;
    files.copy_golden("litestream-0.3.13");
    check_same_as_dump(files, "litestream-0.3.13");
}

TEST_CASE("a time restores whole files up to it, from a replica by Litestream") {
    ReplicaFiles files;
    files.copy_golden("e6f7c60-sample");
    std::int64_t time_ms = 1'600'000'000'000;
    for (const std::string& name : files.names()) files.set_time(name, time_ms += 1000);
    const std::string prefix = std::string("generations/") + kSample + "/wal/";
    const std::string third = prefix + to_hex16(2) + "/" + to_hex16(0) + ".wal.lz4";
    files.set_time(std::string("generations/") + kSample + "/snapshots/" + to_hex16(0) + ".snapshot.lz4",
                   1'600'000'000'000);
    const auto names = files.names();
    const auto place = std::find(names.begin(), names.end(), third) - names.begin();
    const std::int64_t third_ms = 1'600'000'000'000 + (place + 1) * 1000;

    CHECK(files.restore_time(third_ms).database == expected_sample(2));
    CHECK(files.restore_time(third_ms - 1).database == expected_sample(1));
    CHECK(files.restore_time(1'599'999'999'999).is_refused());
}

TEST_CASE("the host's check is called for a replica by Litestream, and its error stops the restore") {
    ReplicaFiles files;
    files.copy_golden("e6f7c60-sample");
    RestoreOptions options;
    std::string checked;
    options.check = [&checked](const std::string& path, bool needed) -> Status {
        CHECK(needed);
        checked = path;
        const auto wal = File::open(path + "-wal", O_CREAT | O_WRONLY);
        return corrupt("quick_check: wrong");
    };

    const Restored restored = files.restore(options);

    CHECK(restored.is_refused());
    CHECK(restored.message().find("quick_check: wrong") != std::string::npos);
    CHECK(checked.find(files.output() + ".tmp-") == 0);
}

}  // namespace litestream
