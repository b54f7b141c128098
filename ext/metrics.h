// Metrics: the Prometheus text format 0.0.4 of what this process replicates. Names of Litestream e6f7c60
// where the meaning is the same; nothing is counted that nobody counts anyway, so that metrics cost nothing
// until somebody asks.
//
//   # HELP litestream_db_size Size of the database file in bytes.
//   # TYPE litestream_db_size gauge
//   litestream_db_size{db="/data/app.db"} 8192
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ext/service_status.h"

namespace litestream {

// Puts the samples of one name together, as the format demands. Thread-bound.
class MetricsText {
  public:
    using Labels = std::vector<std::pair<std::string, std::string>>;

    // The order of the text. A name without samples is left out.
    void declare(const std::string& name, const char* type, const char* help);
    // Of a name that was declared.
    void add(const std::string& name, const Labels& labels, std::uint64_t value);
    void add(const std::string& name, const Labels& labels, double value);
    std::string to_string() const;

  private:
    struct Family {
        std::string name;
        std::string head;
        std::string samples;
    };
    void append(const std::string& name, const Labels& labels, const std::string& value);

    std::vector<Family> families_;
};

constexpr const char* kMetricsContent = "text/plain; version=0.0.4; charset=utf-8";

// Thread-safe.
std::string metrics_text(const Replications& served, const ServerStatus& server);

}  // namespace litestream
