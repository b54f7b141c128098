#include "shared/replica/validator.h"

#include <fcntl.h>

#include <algorithm>

#include "shared/base/directory.h"
#include "shared/base/random.h"
#include "shared/format/path.h"

namespace litestream {
namespace {

class CountingSource final : public Source {
  public:
    CountingSource(std::unique_ptr<Source> source, std::uint64_t& bytes)
        : source_(std::move(source)), bytes_(bytes) {}
    Result<std::size_t> read(ByteSpan buffer) override {
        auto size = source_->read(buffer);
        if (size) bytes_ += *size;
        return size;
    }

  private:
    const std::unique_ptr<Source> source_;
    std::uint64_t& bytes_;
};

// Reads through another client and counts what is read.
class CountingClient final : public ReplicaClient {
  public:
    CountingClient(ReplicaClient& client, ValidationReport& report) : client_(client), report_(report) {}

    std::string url() const override { return client_.url(); }
    Result<std::vector<std::string>> generations() override { return client_.generations(); }
    Result<std::vector<SnapshotInfo>> snapshots(const std::string& generation) override {
        return client_.snapshots(generation);
    }
    Result<std::vector<SegmentInfo>> segments(const std::string& generation) override {
        return client_.segments(generation);
    }
    Result<std::unique_ptr<Source>> open(const std::string& name) override {
        LITESTREAM_ASSIGN(auto source, client_.open(name));
        const std::size_t slash = name.rfind('/');
        const bool is_snapshot = parse_snapshot_name(std::string_view(name).substr(slash + 1)).has_value();
        ++(is_snapshot ? report_.snapshots : report_.segments);
        return std::unique_ptr<Source>(std::make_unique<CountingSource>(std::move(source), report_.bytes));
    }
    Result<std::optional<Trailer>> trailer(const std::string& name) override { return client_.trailer(name); }
    Status publish(const std::string&, const Producer&) override { return reads_only(); }
    Status replace(const std::string&, const Producer&) override { return reads_only(); }
    Status remove(const std::string&) override { return reads_only(); }
    Status remove_remains(const std::string&) override { return reads_only(); }

  private:
    static Error reads_only() { return bad_input("validation only reads"); }

    ReplicaClient& client_;
    ValidationReport& report_;
};

class TemporaryDatabase {
  public:
    explicit TemporaryDatabase(const std::string& directory)
        : path_(join_path(directory, "validate-" + random_hex(8) + ".db")) {}
    ~TemporaryDatabase() {
        for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
            static_cast<void>(remove_file(path_ + suffix));
        }
    }
    TemporaryDatabase(const TemporaryDatabase&) = delete;
    TemporaryDatabase& operator=(const TemporaryDatabase&) = delete;
    const std::string& path() const { return path_; }

  private:
    const std::string path_;
};

struct Layout {
    std::uint32_t page_size = 0;
    std::uint64_t pages = 0;
};

Result<Layout> layout_of(const File& file) {
    LITESTREAM_ASSIGN(const struct stat status, file.status());
    if (status.st_size == 0) return Layout{};
    std::uint8_t stored[2];
    LITESTREAM_TRY(file.read_exactly_at(kPageSizeAt, stored));
    Layout layout;
    layout.page_size = load_page_size(stored);
    if (!is_page_size(layout.page_size)) return corrupt(file.path() + ": page 1 names no page size");
    layout.pages = static_cast<std::uint64_t>(status.st_size) / layout.page_size;
    return layout;
}

Status restore_and_inspect(ReplicaClient& client, const std::string& path, const ValidateOptions& options,
                           ValidationReport& report) {
    LITESTREAM_ASSIGN(RestoreResult restored, restore(client, path, options.restore));
    report.position = restored.position;
    report.generation = restored.position.generation;
    report.note = std::move(restored.note);
    LITESTREAM_ASSIGN(const File file, File::open(path, O_RDONLY));
    LITESTREAM_ASSIGN(const Layout layout, layout_of(file));
    report.pages = layout.pages;
    return options.inspect ? options.inspect(path, report.position) : Status();
}

std::string sizes(std::uint64_t restored, std::uint64_t live, const char* unit) {
    return "the restored database has " + std::to_string(restored) + unit + ", the live one " +
           std::to_string(live);
}

}  // namespace

Result<ValidationReport> validate(ReplicaClient& client, const ValidateOptions& options) {
    ValidationReport report;
    CountingClient counting(client, report);
    const TemporaryDatabase temporary(options.directory);
    auto status = restore_and_inspect(counting, temporary.path(), options, report);
    if (!status) {
        const ErrorCode code = status.error().code;
        if (code == ErrorCode::kInterrupt || code == ErrorCode::kCantOpen) return std::move(status).error();
        report.error = std::move(status).error().message;
    }
    report.ok = report.error.empty();
    return report;
}

Result<std::optional<PageDifference>> compare_with_image(const std::string& path, DatabaseImage& image) {
    using Answer = std::optional<PageDifference>;
    const Trailer& trailer = image.trailer();
    LITESTREAM_ASSIGN(const File file, File::open(path, O_RDONLY));
    LITESTREAM_ASSIGN(const Layout layout, layout_of(file));
    if (layout.page_size != trailer.page_size && layout.pages > 0) {
        return Answer({1, sizes(layout.page_size, trailer.page_size, " bytes a page")});
    }
    Bytes restored(trailer.page_size);
    Bytes live(trailer.page_size);
    const auto common = static_cast<std::uint32_t>(std::min<std::uint64_t>(layout.pages, trailer.page_count));
    for (std::uint32_t page_no = 1; page_no <= common; ++page_no) {
        LITESTREAM_TRY(file.read_exactly_at(std::uint64_t{page_no - 1} * trailer.page_size, restored));
        LITESTREAM_TRY(image.read_page(page_no, live));
        if (restored != live) return Answer({page_no, "page " + std::to_string(page_no) + " differs"});
    }
    if (layout.pages == trailer.page_count) return Answer();
    return Answer({common + 1, sizes(layout.pages, trailer.page_count, " pages")});
}

}  // namespace litestream
