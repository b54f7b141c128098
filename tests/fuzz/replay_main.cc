// Runs a fuzz target without a fuzzer, as an ordinary test: on every file of a directory, on each of these
// files cut short, and on mutations of it, always the same ones.
//
//   replay RUNS DIRECTORY
//
// RUNS: as many cuts of a file at most, evenly spread (at every byte of a small one), and as many mutations.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "shared/base/directory.h"
#include "tests/fuzz/check.h"

using namespace litestream;

namespace {

constexpr std::uint32_t kSeed = 20240229;
constexpr std::size_t kMostMutations = 400;
constexpr std::size_t kMaxFileSize = 64u << 10;

// A heap copy of exactly that size, so that a read past the end is seen.
void run(const Bytes& bytes) {
    const Bytes exact(bytes.begin(), bytes.end());
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

void run_truncations(const Bytes& whole, std::size_t runs) {
    const std::size_t step = std::max<std::size_t>(1, whole.size() / runs);
    for (std::size_t size = 0; size < whole.size(); size += step) {
        run(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    }
}

class Mutator {
  public:
    explicit Mutator(const Bytes& bytes) : bytes_(bytes) {}

    // One to four changes on top of the original.
    Bytes next() {
        Bytes mutated = bytes_;
        for (std::size_t changes = 1 + below(4); changes > 0 && !mutated.empty(); changes--) change(mutated);
        return mutated;
    }

  private:
    std::size_t below(std::size_t limit) { return random_() % limit; }

    void change(Bytes& bytes) {
        constexpr std::uint8_t kEdges[] = {0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF, '%', '/', ':', '?'};
        const std::size_t at = below(bytes.size());
        const auto place = bytes.begin() + static_cast<std::ptrdiff_t>(at);
        switch (below(5)) {
            case 0:
                *place = static_cast<std::uint8_t>(*place ^ 1u << below(8));
                break;
            case 1:
                *place = kEdges[below(sizeof kEdges)];
                break;
            case 2:
                bytes.insert(place, static_cast<std::uint8_t>(random_()));
                break;
            case 3:
                bytes.erase(place);
                break;
            default:
                *place = static_cast<std::uint8_t>(*place + (below(2) == 0 ? 1 : 255));
                break;
        }
    }

    const Bytes& bytes_;
    std::mt19937 random_{kSeed};
};

Status run_file(const std::string& path, std::size_t runs) {
    LITESTREAM_ASSIGN(const Bytes bytes, read_file(path, kMaxFileSize));
    run(bytes);
    run_truncations(bytes, runs);
    Mutator mutator(bytes);
    for (std::size_t i = 0; i < std::min(runs, kMostMutations); i++) run(mutator.next());
    return {};
}

Status run_directory(const std::string& directory, std::size_t runs) {
    LITESTREAM_ASSIGN(const std::vector<DirectoryEntry> entries, list_directory(directory));
    if (entries.empty()) return bad_input(directory + ": no files");
    for (const DirectoryEntry& entry : entries) {
        LITESTREAM_TRY(run_file(join_path(directory, entry.name), runs));
    }
    std::printf("%s: %zu files, seed %u\n", directory.c_str(), entries.size(), kSeed);
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    const int runs = argc == 3 ? std::atoi(argv[1]) : 0;
    if (runs <= 0) return 1;
    const Status status = run_directory(argv[2], static_cast<std::size_t>(runs));
    if (status) return 0;
    std::fprintf(stderr, "%s\n", status.error().message.c_str());
    return 1;
}
