#include "shared/base/log.h"

#include <atomic>

namespace litestream {
namespace {

std::atomic<LogSink> log_sink = nullptr;

}  // namespace

void set_log_sink(LogSink sink) { log_sink.store(sink, std::memory_order_release); }

void log_line(const std::string& line) {
    if (const LogSink sink = log_sink.load(std::memory_order_acquire)) sink(line.c_str());
}

}  // namespace litestream
