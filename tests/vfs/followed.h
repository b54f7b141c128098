// Followed: a database that stock SQLite writes, and a live replica of it that the production applier fills
// from the frames of its WAL. Readers open the replica without our VFS, as other programs do. Thread-bound.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>

#include <filesystem>
#include <memory>
#include <string>

#include "shared/format/frame_chain.h"
#include "tests/support/sqlite_host.h"
#include "vfs/applier.h"
#include "vfs/registry.h"

namespace litestream::test {

constexpr const char* kStock = "unix";
constexpr const char* kGeneration = "f0000000000000aa";

struct Followed {
    TempDirectory directory;
    std::string source_path = directory.path("source.db");
    std::string path = directory.path("replica.db");
    std::unique_ptr<Connection> source;
    std::unique_ptr<Connection> host;  // the application's connection to the replica, through our VFS
    std::unique_ptr<Applier> applier;

    ~Followed() {
        applier.reset();
        host.reset();
    }

    // With a table and one row; the image is what it then holds.
    void make_source(const std::string& pragmas = "") {
        {
            host_registry();
            Connection first(source_path, kStock);
            first.exec(pragmas +
                       "; PRAGMA journal_mode=WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, b); "
                       "INSERT INTO t(b) VALUES('first')");
        }
        std::filesystem::copy(source_path, directory.path("image.db"),
                              std::filesystem::copy_options::overwrite_existing);
        source = std::make_unique<Connection>(source_path, kStock);
        source->exec("PRAGMA wal_autocheckpoint=0; SELECT count(*) FROM t");
    }

    Database& database() { return *host_registry().find(path); }
    void open_host() {
        host = std::make_unique<Connection>(path);
        if (database().is_replica()) return;
        database().unwant_capture();
        REQUIRE(database().begin_replica());
    }
    void open_applier() {
        auto opened = Applier::open(database());
        REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().message));
        applier = *std::move(opened);
    }
    Status apply_image() {
        auto image = File::open(directory.path("image.db"), O_RDONLY);
        REQUIRE(image);
        Bytes header(100);
        REQUIRE(image->read_exactly_at(0, header));
        const std::uint32_t page_size = load_page_size(header.data() + kPageSizeAt);
        SourceState state;
        state.position = {kGeneration, 0, 0};
        state.page_size = page_size;
        return applier->apply_image(*image, page_size, load_be32(header.data() + 28), state);
    }
    void follow() {
        open_host();
        open_applier();
        require(apply_image());
    }
    static void require(const Status& status) {
        REQUIRE_MESSAGE(status, (status ? "" : status.error().message));
    }

    // Everything that the source has committed and the replica lacks, in one batch.
    Status apply() {
        auto file = File::open(source_path + "-wal", O_RDONLY);
        REQUIRE(file);
        Bytes bytes(static_cast<std::size_t>(std::filesystem::file_size(source_path + "-wal")));
        REQUIRE(file->read_exactly_at(0, bytes));
        const std::uint64_t from = applier->state().position.offset;
        Status status;
        SourceState state;
        FrameChain chain([&](const FrameChain::Frame& frame) -> Status {
            if (frame.end_offset <= from) return {};
            LITESTREAM_TRY(applier->add_page(frame.header.page_no, frame.page));
            if (!frame.header.is_commit()) return {};
            state.position = {kGeneration, 0, frame.end_offset};
            state.has_header = true;
            state.header = *WalHeader::decode(ByteView(bytes).first(kWalHeaderSize));
            state.chain = frame.header.checksum;
            state.page_size = state.header.page_size;
            state.time_ms = 1;
            return applier->end_commit(frame.header.commit_pages, state);
        });
        LITESTREAM_TRY(chain.feed(bytes));
        return applier->flush();
    }
    void write(int rows, int bytes = 100) {
        for (int i = 0; i < rows; ++i) {
            source->exec("INSERT INTO t(b) VALUES(randomblob(" + std::to_string(bytes) + "))");
        }
    }
    void check_equal() {
        Connection reader(path, kStock);
        CHECK(dump(reader) == dump(*source));
        CHECK(reader.text("PRAGMA integrity_check") == "ok");
    }
};

}  // namespace litestream::test
