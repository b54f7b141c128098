#include "shared/store/segment_store.h"

#include "tests/fuzz/archive.h"
#include "tests/support/temp_directory.h"

using namespace litestream;

namespace {

bool has_leftovers(const std::string& folder) {
    const auto entries = list_directory(folder);
    claim(entries.has_value());
    for (const DirectoryEntry& entry : *entries) {
        const std::string path = join_path(folder, entry.name);
        if (entry.is_directory ? has_leftovers(path) : entry.name.ends_with(".tmp")) return true;
    }
    return false;
}

// What the store hands out is in order, and ends where it says.
void check_segments(const SegmentStore& store) {
    Position at{store.generation(), 0, 0};
    while (true) {
        const auto segments = store.segments_after(at, 1);
        if (segments.empty()) break;
        claim(at.before(segments.back().end_position()));
        at = segments.back().end_position();
    }
    if (store.tail()) claim(store.tail()->end() == store.end() && !store.end().before(at));
}

}  // namespace

// However a meta directory was left: it opens without temporary files, with an end that does not depend on
// how often it is opened, and takes a new generation; or the error says what is in the way.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const TempDirectory directory;
    SegmentStore store(directory.path("app.db"));
    claim(make_directories(store.path(), 0700).has_value());
    unpack({data, size}, store.path());
    if (const auto opened = store.open(0600); !opened) {
        claim(!opened.error().message.empty() && !store.is_open());
        return 0;
    }
    claim(!has_leftovers(store.path()));
    check_segments(store);
    const Position end = store.end();
    claim(store.open(0600).has_value() && store.end() == end);
    const std::string generation(16, 'c');
    if (store.generation() == generation) return 0;
    if (store.begin_generation(generation, "fuzzed")) claim(store.generation() == generation);
    return 0;
}
