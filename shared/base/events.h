// Events: what happened to replication in this process, oldest first: the table litestream_events. A ring of
// the last kMaxEvents. Whoever records an error that is retried records it when it begins or changes, and
// its end, not every attempt.
//
// Thread-safe; its mutex is innermost. Not after fork(): a child leaves it alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace litestream {

constexpr std::size_t kMaxEvents = 1000;

struct Event {
    std::int64_t time_ms = 0;  // wall clock
    std::string database;      // its path
    std::string kind;          // a word or two of snake_case: "generation", "replica_error"
    std::string detail;        // for people
};

void record_event(std::string database, std::string_view kind, std::string detail);
std::vector<Event> recorded_events();

}  // namespace litestream
