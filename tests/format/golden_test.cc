// Files that Litestream wrote (tests/data/format): segments as they lie in a meta directory and, merged, in a
// replica; two snapshots as its writer leaves them at block boundaries.
#include <doctest/doctest.h>

#include "shared/base/directory.h"
#include "shared/base/text.h"
#include "shared/format/frame_chain.h"
#include "shared/format/path.h"
#include "shared/format/segment.h"
#include "tests/format/samples.h"

using namespace litestream;

namespace {

std::vector<std::string> names_in(const std::string& folder) {
    std::vector<std::string> names;
    const auto entries = list_directory(std::string(TEST_DATA) + "/format/" + folder);
    REQUIRE(entries);
    for (const DirectoryEntry& entry : *entries) names.push_back(entry.name);
    return names;
}

// All segments of an index, each of which starts where the one before it ended.
Bytes join_segments(const std::string& folder) {
    Bytes wal;
    for (const std::string& name : names_in(folder)) {
        const auto offset = parse_segment_name(name);
        REQUIRE(offset);
        if (wal.empty() && *offset != 0) wal.resize(*offset);
        CHECK(*offset == wal.size());
        const Bytes file = test_file(folder + "/" + name);
        MemorySource source(file);
        const auto trailer = read_payload(source, append_to(wal));
        REQUIRE(trailer);
        CHECK_FALSE(*trailer);
    }
    return wal;
}

}  // namespace

TEST_CASE("the segments of every index of a meta directory chain to its end") {
    std::string sizes;
    for (const std::string& index : names_in("wal")) {
        REQUIRE(parse_index_name(index));
        const Bytes wal = join_segments("wal/" + index);
        FrameChain chain(nullptr);
        CHECK(chain.feed(wal));
        CHECK(chain.finish());
        CHECK(chain.offset() == wal.size());
        CHECK(chain.header().page_size == 4096);
        sizes += std::to_string(wal.size()) + " ";
    }

    CHECK(sizes == "49472 49472 49472 53592 49472 20632 ");
}

TEST_CASE("the merged segments of a replica hold the same bytes") {
    CHECK(join_segments("merged/0000000000000007") == join_segments("wal/0000000000000007"));
    CHECK(join_segments("merged/0000000000000003").size() == 49472);
}

TEST_CASE("a header segment of Litestream compresses to the same bytes") {
    const Bytes file = test_file("wal/0000000000000008/0000000000000000.wal.lz4");
    const auto header = decompress(file);

    REQUIRE(header);
    REQUIRE(WalHeader::decode(*header));
    CHECK(file.size() == 51);
    CHECK(compress(*header) == file);
}

TEST_CASE("a snapshot of exactly one block, with the extra block behind it, decodes") {
    const auto content = decompress(test_file("readfrom-4MiB-zeros.lz4"), 1 << 20);

    REQUIRE(content);
    CHECK(*content == Bytes(4u << 20));
}

TEST_CASE("a snapshot of nothing decodes to nothing") {
    const auto content = decompress(test_file("readfrom-empty.lz4"));

    REQUIRE(content);
    CHECK(content->empty());
}

TEST_CASE("a golden segment cut anywhere is refused") {
    const Bytes file = test_file("wal/0000000000000000/00000000000080e0.wal.lz4");
    for_each_truncation(file, [](const Bytes& cut) { CHECK_FALSE(decompress(cut)); });
}
