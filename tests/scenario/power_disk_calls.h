// What the calls that power_disk_calls.cc gives to the process do on a PowerDisk: the system call, its fault
// and its record in the journal. Results and errno are those of libc. Thread-safe.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace litestream::test {

int open_file(int directory, const char* name, int flags, mode_t mode);
// A negative offset: where the descriptor stands.
ssize_t write_file(int descriptor, const void* data, std::size_t size, off64_t offset);
ssize_t read_file(int descriptor, void* data, std::size_t size, off64_t offset);
int truncate_file(int descriptor, off64_t size);
int sync_file(int descriptor);
int rename_file(const char* from, const char* to, unsigned flags);
int remove_name(int directory, const char* name, int flags);
int make_directory(const char* name, mode_t mode);

std::int64_t clock_offset_now();  // in milliseconds
const char* boot_id_file();       // nullptr: the kernel's

}  // namespace litestream::test
