// The small things that a process has once: its log sink, its machine, its source of random bytes.
#include <doctest/doctest.h>

#include "shared/base/log.h"
#include "shared/base/machine.h"
#include "shared/base/random.h"
#include "shared/base/text.h"

using namespace litestream;

namespace {

std::string last_line;
void keep_line(const char* line) { last_line = line; }

}  // namespace

TEST_CASE("a line reaches the sink that was set, and without one nobody") {
    log_line("nobody listens");
    CHECK(last_line.empty());

    set_log_sink(keep_line);
    log_line("hello");
    set_log_sink(nullptr);
    log_line("nobody listens");

    CHECK(last_line == "hello");
}

TEST_CASE("a boot has one id") { CHECK(boot_id() == boot_id()); }

TEST_CASE("a machine has one name") {
    CHECK_FALSE(machine_id().empty());
    CHECK(&machine_id() == &machine_id());
}

TEST_CASE("random bytes are hex, as many as asked for, and differ") {
    CHECK(random_hex(0).empty());
    CHECK(random_hex(8).size() == 16);
    CHECK(random_hex(64).size() == 128);
    CHECK(is_lower_hex(random_hex(64)));
    CHECK(random_hex(16) != random_hex(16));
}
