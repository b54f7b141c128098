#include "shared/replica/validator.h"

#include <doctest/doctest.h>

#include "shared/format/path.h"
#include "tests/replica/primary.h"
#include "tests/support/replica_builder.h"

namespace litestream {
namespace {

constexpr const char* kGeneration = "00000000000000a1";

struct Validation : ReplicaFiles {
    ReplicaBuilder builder{client(), kGeneration, 512};
    ValidateOptions options;

    Validation() {
        options.directory = parent_directory(output());
        builder.commit({{1, 1}, {2, 1}, {3, 1}});
        builder.publish_snapshot();
        builder.commit({{1, 2}, {2, 2}});
        builder.publish_segment();
    }

    ValidationReport report() {
        auto report = validate(client(), options);
        REQUIRE_MESSAGE(report, report.error().message);
        CHECK(list_directory(options.directory)->empty());
        return *std::move(report);
    }
};

// An image that is a file of its own.
class FixedImage final : public DatabaseImage {
  public:
    explicit FixedImage(Bytes database) : database_(std::move(database)) {
        trailer_.page_size = 512;
        trailer_.page_count = static_cast<std::uint32_t>(database_.size() / 512);
    }
    const Trailer& trailer() const override { return trailer_; }
    Status read_page(std::uint32_t page_no, ByteSpan page) override {
        std::copy_n(database_.begin() + std::ptrdiff_t{page_no - 1} * 512, 512, page.begin());
        return {};
    }

  private:
    Trailer trailer_;
    Bytes database_;
};

}  // namespace

TEST_CASE_FIXTURE(Validation, "a whole replica is ok, and the report says what was read") {
    const ValidationReport report = this->report();

    CHECK(report.ok);
    CHECK(report.error.empty());
    CHECK(report.generation == kGeneration);
    CHECK(report.position == builder.position());
    CHECK(report.snapshots == 1);
    CHECK(report.segments == 2);
    CHECK(report.pages == 3);
    std::uint64_t stored = 0;
    for (const std::string& name : names()) stored += read(name).size();
    CHECK(report.bytes == stored);
}

TEST_CASE_FIXTURE(Validation, "a damaged file makes it invalid and is named") {
    const std::string name = client().segments(kGeneration)->back().name;
    Bytes bytes = read(name);
    bytes[20] ^= 1;
    write(name, bytes);

    const ValidationReport report = this->report();

    CHECK_FALSE(report.ok);
    CHECK(report.error.find(name) != std::string::npos);
    CHECK(report.position.empty());
}

TEST_CASE_FIXTURE(Validation, "an empty replica is not ok") {
    ReplicaFiles empty;

    const auto report = validate(empty.client(), options);

    REQUIRE(report);
    CHECK_FALSE(report->ok);
    CHECK(report->error.find("holds nothing to restore") != std::string::npos);
}

TEST_CASE_FIXTURE(Validation, "the inspector sees the file at its position and may refuse it") {
    options.restore.position = builder.states()[1].position;
    Bytes seen;
    options.inspect = [&](const std::string& path, const Position& position) {
        CHECK(position == builder.states()[1].position);
        seen = read_whole(path);
        return corrupt("differs from the live one");
    };

    const ValidationReport report = this->report();

    CHECK(seen == builder.states()[1].database);
    CHECK_FALSE(report.ok);
    CHECK(report.error == "differs from the live one");
}

TEST_CASE_FIXTURE(Validation, "an interrupt and a missing directory are errors of the call") {
    options.inspect = [](const std::string&, const Position&) {
        return Error{ErrorCode::kInterrupt, "interrupted"};
    };
    CHECK(validate(client(), options).error().code == ErrorCode::kInterrupt);

    options.directory += "/missing";
    CHECK(validate(client(), options).error().code == ErrorCode::kCantOpen);
}

TEST_CASE_FIXTURE(Validation, "a restored file is compared page by page") {
    const Bytes database = builder.last().database;
    const std::string path = join_path(options.directory, "restored");
    REQUIRE(write_file_atomically(path, database, 0600));
    const auto difference = [&](const Bytes& live) {
        FixedImage image(live);
        const auto found = compare_with_image(path, image);
        REQUIRE(found);
        return *found;
    };
    Bytes other = database;
    other[512] ^= 1;
    other[1024] ^= 1;
    Bytes longer = database;
    longer.resize(longer.size() + 512);

    CHECK_FALSE(difference(database));
    CHECK(difference(other)->page_no == 2);
    CHECK(difference(longer)->page_no == 4);
    CHECK(difference(longer)->what == "the restored database has 3 pages, the live one 4");
    CHECK(difference(Bytes(512))->page_no == 1);
}

}  // namespace litestream
