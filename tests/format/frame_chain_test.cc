#include "shared/format/frame_chain.h"

#include <doctest/doctest.h>

#include "tests/format/samples.h"

using namespace litestream;

namespace {

// Page numbers of the frames that arrive, and what became of the whole.
struct Run {
    std::string pages;
    Status status;
};

Run run(const Bytes& wal, std::size_t piece_bytes) {
    Run run;
    FrameChain chain([&](const FrameChain::Frame& frame) {
        run.pages += std::to_string(frame.header.page_no) + (frame.header.is_commit() ? "! " : " ");
        CHECK(frame.page[0] == frame.header.page_no);
        return Status();
    });
    ByteView rest = wal;
    while (!rest.empty() && run.status) {
        const ByteView piece = rest.first(std::min(piece_bytes, rest.size()));
        run.status = chain.feed(piece);
        rest = rest.subspan(piece.size());
    }
    if (run.status) run.status = chain.finish();
    return run;
}

std::string message_of(const Bytes& wal) {
    const Run result = run(wal, wal.size());
    REQUIRE_FALSE(result.status);
    CHECK(result.status.error().code == ErrorCode::kCorrupt);
    return result.status.error().message;
}

constexpr std::size_t kFrame = kFrameHeaderSize + 512;

}  // namespace

TEST_CASE("frames arrive in order, however the bytes are cut") {
    for (const WordOrder order : {WordOrder::kLittle, WordOrder::kBig}) {
        const Bytes wal = make_wal(4, {2, 4}, order);
        for (const std::size_t piece : {1, 7, 24, 31, 32, 33, 535, 536, 537, 1000, 5000}) {
            const Run result = run(wal, piece);
            CHECK(result.status);
            CHECK(result.pages == "1 2! 3 4! ");
        }
    }
}

TEST_CASE("a chain knows where it stands") {
    const Bytes wal = make_wal(3, {2});
    FrameChain chain(nullptr);

    CHECK(chain.finish());
    CHECK_FALSE(chain.has_header());
    CHECK(chain.at_commit());
    REQUIRE(chain.feed(ByteView(wal).first(32)));
    CHECK(chain.has_header());
    CHECK(chain.header().page_size == 512);
    CHECK(chain.offset() == 32);
    CHECK(chain.finish());
    REQUIRE(chain.feed(ByteView(wal).subspan(32, 2 * kFrame)));
    CHECK(chain.offset() == wal_size(2, 512));
    CHECK(chain.at_commit());
    REQUIRE(chain.feed(ByteView(wal).subspan(32 + 2 * kFrame)));
    CHECK_FALSE(chain.at_commit());
}

TEST_CASE("a chain goes on from a frame boundary") {
    const Bytes wal = make_wal(4, {2, 4});
    FrameChain first(nullptr);
    REQUIRE(first.feed(ByteView(wal).first(32 + 2 * kFrame)));
    std::uint64_t end_offset = 0;
    FrameChain second(first.header(), first.offset(), first.checksum(), [&](const FrameChain::Frame& frame) {
        end_offset = frame.end_offset;
        return Status();
    });

    CHECK(second.feed(ByteView(wal).subspan(32 + 2 * kFrame)));
    CHECK(second.finish());
    CHECK(end_offset == wal.size());
}

TEST_CASE("a chain that goes on elsewhere is broken") {
    const Bytes wal = make_wal(4, {2, 4});
    FrameChain first(nullptr);
    REQUIRE(first.feed(ByteView(wal).first(32 + kFrame)));
    FrameChain second(first.header(), first.offset(), first.checksum(), nullptr);

    const Status status = second.feed(ByteView(wal).subspan(32 + 2 * kFrame));

    REQUIRE_FALSE(status);
    CHECK(status.error().message == "offset 0x238: checksum does not match");
}

TEST_CASE("a WAL cut anywhere but behind a commit is refused") {
    const Bytes wal = make_wal(3, {1, 3});
    for_each_truncation(wal, [](const Bytes& cut) {
        const bool is_whole = cut.empty() || cut.size() == 32 || cut.size() == 32 + kFrame;
        CHECK(run(cut, 100).status.has_value() == is_whole);
    });
}

TEST_CASE("a turned bit anywhere is noticed before its frame is handed on") {
    const Bytes wal = make_wal(2, {2});
    std::size_t flip = 0;
    for_each_flip(wal, [&](const Bytes& damaged) {
        const std::size_t at = flip++ / 3;
        const Run result = run(damaged, damaged.size());
        CHECK_FALSE(result.status);
        CHECK(result.pages == (at < 32 + kFrame ? "" : "1 "));
    });
}

TEST_CASE("what is wrong is said with its place") {
    const auto damage = [](std::size_t at) {
        Bytes wal = make_wal(2, {2});
        wal[at] ^= 1;
        return message_of(wal);
    };
    CHECK(damage(0) == "offset 0x0: WAL header: wrong magic number");
    CHECK(damage(32 + 3) == "offset 0x20: page number 0");
    CHECK(damage(32 + 8) == "offset 0x20: salt does not match");
    CHECK(damage(32 + kFrame + 100) == "offset 0x238: checksum does not match");
    CHECK(message_of(make_wal(2, {1})) == "offset 0x450: ends behind a frame that is no commit");
    CHECK(message_of(Bytes(10)) == "offset 0xa: ends inside a header");
}

TEST_CASE("an error of the callback ends the run") {
    const Bytes wal = make_wal(3, {3});
    int frames = 0;
    FrameChain chain([&](const FrameChain::Frame&) -> Status {
        frames++;
        return Error{ErrorCode::kIo, "disk full"};
    });

    const Status status = chain.feed(wal);

    REQUIRE_FALSE(status);
    CHECK(status.error().message == "disk full");
    CHECK(frames == 1);
}
