// The replica's process dies while its applier begins the local WAL anew: after the note of it, within the
// new header, before, within and behind the frames of the first batch. What is on disk then is put together
// from the files before and after that batch.
#include "shared/base/crc32.h"
#include "shared/base/directory.h"
#include "tests/vfs/followed.h"
#include "vfs/applied_log.h"
#include "vfs/wal_appender.h"

using namespace litestream;
using namespace litestream::test;

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kFrame = kFrameHeaderSize + 4096;
constexpr std::size_t kSlot = 128;  // of the file `applied`

Bytes content(const std::string& path) {
    auto bytes = read_file(path, 1u << 30);
    REQUIRE(bytes);
    return *std::move(bytes);
}

void replace(const std::string& path, ByteView bytes) {
    fs::remove(path);
    REQUIRE(write_file_atomically(path, bytes, 0600));
}

// The first bytes of `next` lie over `old`.
Bytes overlaid(Bytes old, const Bytes& next, std::size_t size) {
    old.resize(std::max(old.size(), size));
    std::copy_n(next.begin(), size, old.begin());
    return old;
}

// The record that was written last goes.
Bytes without_newest(Bytes log) {
    std::size_t newest = 0;
    for (std::size_t at = 0; at + kSlot <= log.size(); at += kSlot) {
        if (load_be64(log.data() + at) > load_be64(log.data() + newest)) newest = at;
    }
    std::fill_n(log.begin() + static_cast<std::ptrdiff_t>(newest), kSlot, std::uint8_t{0});
    return log;
}

struct WalBegin : Followed {
    SourceState before;
    Bytes old_wal;
    Bytes new_wal;

    // A batch that begins the WAL anew: behind frames that are all in the database file, or behind none.
    void begin_anew(bool has_old_frames) {
        make_source();
        follow();
        write(5);
        require(apply());
        if (has_old_frames) Connection(path, kStock).exec("PRAGMA wal_checkpoint(PASSIVE)");
        if (!has_old_frames) require(applier->idle());
        before = applier->state();
        old_wal = content(path + "-wal");
        CHECK(old_wal.empty() != has_old_frames);
        write(3, 3000);  // more than one page
        require(apply());
        new_wal = content(path + "-wal");
        REQUIRE(new_wal.size() > kWalHeaderSize + kFrame);
        if (has_old_frames) REQUIRE(!std::equal(new_wal.begin(), new_wal.begin() + 32, old_wal.begin()));
    }

    // What is left where `written` bytes of the new WAL are there, and the batch's record or not.
    std::string left(std::size_t written, bool has_record) const {
        static int count = 0;
        const std::string folder = directory.path("left" + std::to_string(++count));
        fs::create_directory(folder);
        fs::copy(path, folder + "/replica.db");
        fs::copy(path + "-litestream", folder + "/replica.db-litestream", fs::copy_options::recursive);
        replace(folder + "/replica.db-wal", overlaid(old_wal, new_wal, written));
        const std::string log = folder + "/replica.db-litestream/applied";
        if (!has_record) replace(log, without_newest(content(log)));
        return folder + "/replica.db";
    }

    // Where the replica is in what is left; `reads`: a stock program has it open before, and still.
    SourceState state_of(const std::string& left_path, bool reads) const {
        Followed next;
        next.path = left_path;
        std::unique_ptr<Connection> reader;
        if (reads) reader = std::make_unique<Connection>(left_path, kStock);
        if (reads) CHECK(reader->text("SELECT count(*) FROM t") == "6");
        next.open_host();
        next.open_applier();
        return next.applier->state();
    }
};

}  // namespace

TEST_CASE_FIXTURE(WalBegin, "killed while the WAL begins anew behind what is in the file: it goes on") {
    begin_anew(true);
    for (const std::size_t written : {std::size_t{0}, kWalHeaderSize / 2, kWalHeaderSize,
                                      kWalHeaderSize + 100, kWalHeaderSize + kFrame}) {
        for (const int how : {0, 1, 2, 3}) {
            CAPTURE(written);
            CAPTURE(how);

            const SourceState state = state_of(left(written, (how & 1) != 0), (how & 2) != 0);

            CHECK(state == before);
        }
    }
}

TEST_CASE_FIXTURE(WalBegin, "the whole first batch in the new WAL is found by its record") {
    begin_anew(true);

    const SourceState state = state_of(left(new_wal.size(), true), false);

    CHECK(state == applier->state());
    CHECK(state != before);
}

TEST_CASE_FIXTURE(WalBegin, "a WAL without frames in which several batches had been is no proof") {
    begin_anew(true);
    write(1);
    require(apply());

    const SourceState state = state_of(left(kWalHeaderSize, true), false);

    CHECK(state.position.empty());
}

TEST_CASE_FIXTURE(WalBegin, "what was noted in another boot is no proof") {
    begin_anew(true);
    const std::string left_path = left(kWalHeaderSize, true);
    Bytes log = content(left_path + "-litestream/applied");
    for (std::size_t at = 0; at + kSlot <= log.size(); at += kSlot) {
        std::uint8_t* slot = log.data() + at;
        if (load_be64(slot) == 0 || load_be32(slot + 96) != 0) continue;
        store_be32(slot + 100, load_be32(slot + 100) ^ 1);
        store_be32(slot + 108, crc32(0, ByteView(log).subspan(at, 108)));
    }
    replace(left_path + "-litestream/applied", log);

    const SourceState state = state_of(left_path, false);

    CHECK(state.position.empty());
}

TEST_CASE_FIXTURE(WalBegin, "killed while an empty WAL begins: it goes on") {
    begin_anew(false);
    // The database's times are not those that the rest was noted with: the log alone tells.
    for (const std::size_t written : {kWalHeaderSize, kWalHeaderSize + 100, kWalHeaderSize + kFrame}) {
        for (const int how : {0, 1, 2, 3}) {
            CAPTURE(written);
            CAPTURE(how);

            const SourceState state = state_of(left(written, (how & 1) != 0), (how & 2) != 0);

            CHECK(state == before);
        }
    }
}

TEST_CASE_FIXTURE(WalBegin, "killed there while another program keeps the wal-index: it goes on") {
    for (const bool has_old_frames : {false, true}) {
        CAPTURE(has_old_frames);
        WalBegin self;
        self.make_source();
        self.follow();
        self.write(5);
        require(self.apply());
        self.before = self.applier->state();
        Connection keeper(self.path, kStock);
        keeper.exec("BEGIN; SELECT count(*) FROM t");
        if (!has_old_frames) keeper.exec("COMMIT");
        self.applier.reset();  // with a reader there, the WAL keeps its frames
        if (has_old_frames) keeper.exec("COMMIT");
        REQUIRE(content(self.path + "-wal").empty() != has_old_frames);
        AppliedLog log;
        REQUIRE(log.open(self.path + "-litestream", 0600));
        WalAppender wal;
        REQUIRE(wal.open(keeper.get(), self.path + "-wal"));
        REQUIRE(wal.begin());

        require(wal.prepare(4096, [&](const Salts& salts) { return log.append_empty(self.before, salts); }));
        SourceState later = self.before;  // of a batch whose frames never came
        ++later.position.index;
        REQUIRE(log.append({later, wal.header().salts, 1, {1, 1}}));
        wal.end();
        self.open_applier();

        CHECK(self.applier->state() == self.before);
        self.write(2);
        require(self.apply());
        self.check_equal();
    }
}
