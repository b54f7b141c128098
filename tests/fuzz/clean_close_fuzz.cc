#include "vfs/clean_close.h"

#include <algorithm>

#include "tests/fuzz/check.h"
#include "tests/support/temp_directory.h"

using namespace litestream;

namespace {

// One database for all runs, whose change time is long past by the second.
struct Closed {
    const TempDirectory directory;
    const std::string database = directory.path("app.db");
    const std::string record = directory.path("clean-close");
    const Bytes first_bytes = Bytes(kCleanCloseHeaderBytes, 'x');
    const Position position{"0123456789abcdef", 7, 4152};
    Bytes proof;

    Closed() {
        claim(write_file_atomically(database, first_bytes, 0600).has_value());
        claim(write_rest(directory.path(), RestKind::kClosed, database, {position, first_bytes}, 0600)
                  .has_value());
        auto written = read_file(record, 4096);
        claim(written.has_value());
        proof = *std::move(written);
    }
};

}  // namespace

// The input is what became of the record from a byte on, which its first two bytes name: nothing proves
// anything but the record as it was written.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Closed closed;
    if (size < 2) return 0;
    Bytes bytes = closed.proof;
    bytes.resize(std::min<std::size_t>(bytes.size(), data[0] << 8 | data[1]));
    bytes.insert(bytes.end(), data + 2, data + size);
    claim(write_file_atomically(closed.record, bytes, 0600).has_value());
    const auto found =
        check_rest(closed.directory.path(), RestKind::kClosed, closed.database, closed.first_bytes);
    claim(found.has_value() == (bytes == closed.proof));
    if (found) claim(*found == closed.position);
    return 0;
}
