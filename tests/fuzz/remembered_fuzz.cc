#include "ext/remembered.h"

#include "tests/fuzz/check.h"
#include "tests/support/temp_directory.h"

using namespace litestream;

// What is read as remembered is written and reads the same, and no name in it leads out of the meta
// directory.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const TempDirectory directory;
    claim(write_file_atomically(directory.path("replicas.json"), {data, size}, 0600).has_value());
    const auto read = read_remembered(directory.path());
    if (!read) return 0;
    claim(read->has_value());
    const Remembered& remembered = **read;
    for (const ReplicaSpec& spec : remembered.replicas) claim(check_replica_name(spec.name).has_value());

    claim(write_remembered(directory.path(), remembered).has_value());
    const auto back = read_remembered(directory.path());
    claim(back.has_value() && back->has_value());
    claim((*back)->database == remembered.database && (*back)->id == remembered.id);
    claim((*back)->replicas == remembered.replicas && (*back)->upstream == remembered.upstream);
    return 0;
}
