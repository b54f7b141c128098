#include "shared/base/result.h"

#include <doctest/doctest.h>

#include <memory>

using namespace litestream;

namespace {

Result<int> half(int n) {
    if (n % 2 != 0) return bad_input("odd");
    return n / 2;
}

Result<int> quarter(int n) {
    LITESTREAM_ASSIGN(const int h, half(n));
    return half(h);
}

Status check_quarter(int n) {
    LITESTREAM_TRY(quarter(n));
    return {};
}

}  // namespace

TEST_CASE("a result is a value or an error") {
    CHECK(*half(4) == 2);
    CHECK(half(3).error().message == "odd");
}

TEST_CASE("an error returns through every level") {
    CHECK(*quarter(8) == 2);
    CHECK_FALSE(quarter(6));
    CHECK(check_quarter(4));
    CHECK(check_quarter(2).error().code == ErrorCode::kInput);
}

TEST_CASE("a message is built outward") {
    CHECK(corrupt("checksum mismatch").context("segment 2").context("restore").message ==
          "restore: segment 2: checksum mismatch");
}

TEST_CASE("a value that can only be moved comes out") {
    Result<std::unique_ptr<int>> result(std::make_unique<int>(7));

    const std::unique_ptr<int> value = *std::move(result);

    CHECK(*value == 7);
}
