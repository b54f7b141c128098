#include "vfs/clean_close.h"

#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "shared/base/clock.h"
#include "shared/base/crc32.h"
#include "shared/base/directory.h"
#include "shared/base/machine.h"
#include "shared/base/text.h"

namespace litestream {

namespace {

constexpr int kMaxWaitMs = 50;
constexpr int kMaxWaitAtRestMs = 20;

std::string record_path(const std::string& meta_path, RestKind kind) {
    return join_path(meta_path, kind == RestKind::kClosed ? "clean-close" : "at-rest");
}

std::int64_t nanoseconds(const timespec& time) {
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// The clock that the kernel stamps files with: it moves in ticks.
std::int64_t file_clock_ns() {
    timespec now = {};
    ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return nanoseconds(now);
}

std::string boot_field() { return boot_id().empty() ? "-" : boot_id(); }

std::string describe(const struct stat& status, ByteView first_bytes, const std::string& position,
                     const std::string& boot) {
    std::string line = "2 " + position + " " + boot;
    for (const auto number :
         {static_cast<std::int64_t>(status.st_dev), static_cast<std::int64_t>(status.st_ino),
          static_cast<std::int64_t>(status.st_size), nanoseconds(status.st_mtim),
          nanoseconds(status.st_ctim)}) {
        line += " " + std::to_string(number);
    }
    line += " " + to_hex(first_bytes);
    return line + " " + to_hex16(crc32(0, as_bytes(line))) + "\n";
}

}  // namespace

Status write_rest(const std::string& meta_path, RestKind kind, const std::string& database_path,
                  const Rest& rest, unsigned mode) {
    struct stat status = {};
    if (::stat(database_path.c_str(), &status) != 0) return system_error(errno, database_path, "stat");
    const bool is_closed = kind == RestKind::kClosed;
    const std::int64_t deadline = steady_clock_ms() + (is_closed ? kMaxWaitMs : kMaxWaitAtRestMs);
    while (file_clock_ns() <= nanoseconds(status.st_ctim)) {
        if (steady_clock_ms() > deadline) {
            return Error{ErrorCode::kBusy, database_path + ": its change time is not in the past"};
        }
        std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
    const std::string line = describe(status, rest.first_bytes, rest.position.to_string(), boot_field());
    const std::string path = record_path(meta_path, kind);
    if (is_closed) return write_file_atomically(path, as_bytes(line), mode);
    LITESTREAM_ASSIGN(TempFile temp, TempFile::create(path, ".tmp", mode));
    LITESTREAM_TRY(temp.file().write(as_bytes(line)));
    return temp.publish(Durability::kNone, Replace::kAllowed);
}

std::optional<Position> check_rest(const std::string& meta_path, RestKind kind,
                                   const std::string& database_path, ByteView first_bytes, OfBoot of_boot) {
    const auto bytes = read_file(record_path(meta_path, kind), 4096);
    struct stat status = {};
    if (!bytes || ::stat(database_path.c_str(), &status) != 0) return std::nullopt;
    const std::string_view line = as_text(*bytes);
    if (line.size() < 2 + kPositionTextSize) return std::nullopt;
    const std::string position(line.substr(2, kPositionTextSize));
    const std::string_view behind = line.substr(std::min(line.size(), 3 + kPositionTextSize));
    const std::string boot(behind.substr(0, behind.find(' ')));
    if (line != describe(status, first_bytes, position, boot)) return std::nullopt;
    if (of_boot == OfBoot::kThis && (boot_id().empty() || boot != boot_id())) return std::nullopt;
    auto parsed = Position::parse(position);
    return parsed ? std::optional(*std::move(parsed)) : std::nullopt;
}

}  // namespace litestream
