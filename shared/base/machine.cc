#include "shared/base/machine.h"

#include <unistd.h>

#include <fstream>

#include "shared/base/text.h"

namespace litestream {
namespace {

std::string find_machine_id() {
    // Not through File: some systems make this name a symbolic link.
    std::string id;
    std::ifstream("/etc/machine-id") >> id;
    if (id.size() == 32 && is_lower_hex(id)) return id;
    char host[256] = {};
    if (::gethostname(host, sizeof host - 1) == 0 && host[0] != '\0') return host;
    return "unknown";
}

}  // namespace

const std::string& boot_id() {
    static const std::string id = [] {
        std::string text;
        std::ifstream("/proc/sys/kernel/random/boot_id") >> text;
        return text;
    }();
    return id;
}

const std::string& machine_id() {
    static const std::string id = find_machine_id();
    return id;
}

}  // namespace litestream
