// Result<T> and Status: how every function of ours reports failure. Nothing of ours throws.
//
// The names are those of std::expected (C++23). An Error carries a code, only where a caller acts on it,
// and a message that is built outward: each level puts its own words in front with context().
//
// Reentrant: plain values, no shared state.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace litestream {

enum class ErrorCode {
    kInput,      // the caller asked for something that makes no sense; the message says what
    kNotFound,   // the named file or object does not exist
    kExists,     // the named file or object exists already and is not replaced
    kCantOpen,   // a path cannot be opened, created or entered
    kIo,         // the operating system failed a read, write, sync or rename
    kCorrupt,    // bytes that do not verify
    kBusy,       // not within the time allowed
    kInterrupt,  // the user interrupted
    kAuth,       // credentials are missing, wrong or not enough; nothing is retried with the same ones
};

struct [[nodiscard]] Error {
    ErrorCode code = ErrorCode::kInput;
    std::string message;

    // "restore file:///b: segment 3f…/2:0x20: checksum mismatch": `where` goes in front, with a colon.
    Error context(std::string_view where) && {
        message.insert(0, std::string(where) + ": ");
        return std::move(*this);
    }
};

template <typename T>
class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit by design
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    bool has_value() const { return state_.index() == 0; }
    explicit operator bool() const { return has_value(); }
    T& operator*() & { return std::get<0>(state_); }
    const T& operator*() const& { return std::get<0>(state_); }
    T&& operator*() && { return std::get<0>(std::move(state_)); }
    T* operator->() { return &std::get<0>(state_); }
    const T* operator->() const { return &std::get<0>(state_); }
    Error& error() & { return std::get<1>(state_); }
    const Error& error() const& { return std::get<1>(state_); }
    Error&& error() && { return std::get<1>(std::move(state_)); }

  private:
    std::variant<T, Error> state_;
};

class [[nodiscard]] Status {
  public:
    Status() = default;
    Status(Error error) : error_(std::move(error)) {}  // NOLINT: implicit by design

    bool has_value() const { return !error_; }
    explicit operator bool() const { return has_value(); }
    Error& error() & { return *error_; }
    const Error& error() const& { return *error_; }
    Error&& error() && { return std::move(*error_); }

  private:
    std::optional<Error> error_;
};

inline Error corrupt(std::string message) { return {ErrorCode::kCorrupt, std::move(message)}; }
inline Error bad_input(std::string message) { return {ErrorCode::kInput, std::move(message)}; }

}  // namespace litestream

// Return the error of `expression`, if it has one.
#define LITESTREAM_TRY(expression)                                 \
    do {                                                           \
        if (auto&& status_ = (expression); !status_.has_value()) { \
            return std::move(status_).error();                     \
        }                                                          \
    } while (false)

#define LITESTREAM_CONCAT_(a, b) a##b
#define LITESTREAM_CONCAT(a, b) LITESTREAM_CONCAT_(a, b)

// `LITESTREAM_ASSIGN(auto file, File::open(path))`: declare from the value, or return the error.
#define LITESTREAM_ASSIGN(declaration, expression) \
    LITESTREAM_ASSIGN_IMPL(LITESTREAM_CONCAT(result_, __LINE__), declaration, expression)
#define LITESTREAM_ASSIGN_IMPL(name, declaration, expression) \
    auto name = (expression);                                 \
    if (!name.has_value()) return std::move(name).error();    \
    declaration = *std::move(name)
