// Which machine this is: what is remembered about a database is followed only on the machine that wrote it.
// Thread-safe.
#pragma once

#include <string>

namespace litestream {

// /etc/machine-id, else the host name, else "unknown". Read once.
const std::string& machine_id();
// Another one each time that the kernel starts; "" where it cannot be told. Read once.
const std::string& boot_id();

}  // namespace litestream
