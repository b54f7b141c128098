// What open() is given besides a name, for those who take its place. Reentrant.
#pragma once

#include <fcntl.h>
#include <stdarg.h>

namespace litestream::test {

// Then there is a mode behind the flags.
inline bool creates(int flags) { return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE; }
inline mode_t mode_of(int flags, va_list arguments) { return creates(flags) ? va_arg(arguments, mode_t) : 0; }

}  // namespace litestream::test
