// PowerDisk: the disk of a simulated machine, seen from inside the process that works on it. Linked whole
// into an executable it takes the place of libc's calls that change files, and passes them on. What happens
// below one root goes into a journal, which is outside of it, with its bytes, in the order in which it
// happened; so does every fsync(), which does nothing else. From the journal power_loss.py makes what a power
// loss may leave.
//
//   where            what may happen there                                 how it is asked for
//   any call         fails with an errno from the n-th on, so many times   fault ERRNO KINDS PART SKIP TIMES
//   any call         the process ends instead; of a write, a part is done  fault 0 KINDS PART SKIP 1
//   wall clock       jumps (the kernel's time stamps and the coarse clock  clock MILLISECONDS
//                    that belongs to them, do not)
//
// A call that fails so is said on stderr: `fault: ERRNO KIND PATH`.
//
// KINDS: some of create,open,read,write,truncate,rename,unlink,mkdir,sync joined by commas. PART: of the
// path. `calm` ends all faults. Maps of files are not seen: the wal-index is gone after power loss, and
// nothing else is written through a map.
//
// Thread-safe once it has begun.
#pragma once

#include <string>

namespace litestream::test {

// Until then everything passes. `boot_id`: a file that is read in the place of the kernel's own.
void begin_power_disk(const std::string& root, const std::string& journal, const std::string& boot_id);
// One of the lines above; false: none of them.
bool command_power_disk(const std::string& line);
// As SIGKILL would, but never in the middle of a call that the journal has to know about.
[[noreturn]] void die_on_power_disk();

}  // namespace litestream::test
