// A variable of the environment for as long as a test runs. Thread-bound; no other thread may look meanwhile.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>

namespace litestream {

class EnvironmentVariable {
  public:
    EnvironmentVariable(const char* name, const std::string& value) : name_(name) {
        if (const char* before = std::getenv(name)) before_ = before;
        ::setenv(name, value.c_str(), 1);
    }
    ~EnvironmentVariable() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }
    EnvironmentVariable(const EnvironmentVariable&) = delete;
    EnvironmentVariable& operator=(const EnvironmentVariable&) = delete;

  private:
    const char* const name_;
    std::optional<std::string> before_;
};

}  // namespace litestream
