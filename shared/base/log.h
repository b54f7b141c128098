// Log: one line to whoever the host gave us (SQLite's error log), nothing by default. Thread-safe.
#pragma once

#include <string>

namespace litestream {

using LogSink = void (*)(const char* line);
void set_log_sink(LogSink sink);  // set once at load
void log_line(const std::string& line);

}  // namespace litestream
