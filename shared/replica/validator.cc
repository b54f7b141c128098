#include "shared/replica/validator.h"

#include <fcntl.h>

#include <algorithm>

#include "shared/base/directory.h"
#include "shared/base/random.h"

namespace litestream {
namespace {

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
    RestoreCounts counts;
    ValidateOptions counted = options;
    counted.restore.counts = &counts;
    const TemporaryDatabase temporary(options.directory);
    auto status = restore_and_inspect(client, temporary.path(), counted, report);
    report.snapshots = counts.snapshots;
    report.segments = counts.segments;
    report.bytes = counts.bytes;
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
