// Variable: an environment variable for as long as a test needs it. Thread-bound: nobody else may look
// meanwhile.
#pragma once

#include <stdlib.h>

#include <string>

namespace litestream::test {

class Variable {
  public:
    Variable(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
    ~Variable() { ::unsetenv(name_); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

  private:
    const char* const name_;
};

}  // namespace litestream::test
