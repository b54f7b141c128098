// Bodies that Litestream e6f7c60 sent, whole and damaged (tests/data/stream/README.md).
#include <sstream>

#include "tests/stream/client_fixture.h"

using namespace litestream;
using namespace litestream::following;

namespace {

const std::string kSample = "e6f7c60-sample";
const std::string kOther = "litestream-e6f7c60";
constexpr std::uint32_t kGoldenPage = 4096;
constexpr std::size_t kLengthAt = 32;        // in a record's header
constexpr std::size_t kDamagedRecords = 28;  // up to the third index: the others bring nothing new

Bytes load(const std::string& name) {
    auto bytes = read_file(std::string(TEST_DATA) + "/stream/" + name, 4u << 20);
    REQUIRE(bytes);
    return *std::move(bytes);
}

std::vector<std::string> lines_of(const std::string& name) {
    const Bytes text = load(name);
    std::istringstream in{std::string(as_text(text))};
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

struct Piece {
    StreamRecord record;
    std::size_t begin = 0;
    std::size_t end() const {
        return begin + kRecordHeaderSize + static_cast<std::size_t>(record.size_bytes);
    }
};

std::vector<Piece> pieces_of(const Bytes& body) {
    std::vector<Piece> pieces;
    for (std::size_t at = 0; at + kRecordHeaderSize <= body.size(); at = pieces.back().end()) {
        auto record = StreamRecord::decode(ByteView(body).subspan(at, kRecordHeaderSize));
        REQUIRE(record);
        pieces.push_back({*std::move(record), at});
    }
    return pieces;
}

struct Golden : Following {
    Golden() { page_size = kGoldenPage; }
    // The last state that was shown of each index.
    std::vector<std::string> ends() const {
        std::map<std::uint64_t, std::string> ends;
        for (const auto& [position, sha] : shown()) ends[position.index] = sha;
        std::vector<std::string> list;
        for (const auto& [index, sha] : ends) list.push_back(sha);
        return list;
    }
};

// What a replica shows of the whole body is all that it may show of a damaged one. As quick_check would, the
// check tells a damaged page from a good one.
class Damage {
  public:
    Damage() : body_(load(kSample + "/stream.bin")), pieces_(pieces_of(body_)) {
        pieces_.resize(kDamagedRecords);
        body_.resize(pieces_.back().end());
        Golden golden;
        (void)golden.follow_records(body_);
        good_ = golden.shown();
    }
    const Bytes& body() const { return body_; }
    const std::vector<Piece>& pieces() const { return pieces_; }
    // How many states it showed.
    std::size_t check(const Bytes& bytes) const {
        Golden golden;
        golden.source.check = [this](const std::string& path) { return check_image(path); };

        const Error error = golden.follow_records(bytes);

        CHECK_FALSE(error.message.empty());
        REQUIRE(golden.shown().size() <= good_.size());
        CHECK(std::equal(golden.shown().begin(), golden.shown().end(), good_.begin()));
        return golden.shown().size();
    }
    // What the records in front of this byte show; those of the snapshot's index show with the next one.
    std::size_t shown_before(std::size_t at) const {
        std::size_t count = 0;
        bool is_shown = false;
        for (const Piece& piece : pieces_) {
            if (piece.begin + kRecordHeaderSize > at) break;
            const Position& start = piece.record.position;
            if (start.index > 0 && !std::exchange(is_shown, true)) count++;
            if (start.index > 0 && start.offset > 0 && piece.end() <= at) count++;
        }
        return count;
    }
    const Piece& piece_at(std::size_t at) const {
        return *std::find_if(pieces_.begin(), pieces_.end(), [&](const Piece& p) { return p.end() > at; });
    }

  private:
    Status check_image(const std::string& path) const {
        const auto bytes = read_file(path, 1u << 20);
        if (bytes && sha256(*bytes) == good_.front().sha) return {};
        return corrupt("damaged");
    }
    Bytes body_;
    std::vector<Piece> pieces_;
    std::vector<FakeTarget::Shown> good_;
};

Bytes cut(const Bytes& bytes, std::size_t size) {
    return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)};
}

// Not the flags of a record, which nobody looks at, nor another spelling of the same content in lz4. What a
// snapshot's pages lose may come again with the frames.
bool damages(const Bytes& bytes, const Piece& piece, std::size_t at) {
    const std::size_t in_record = at - piece.begin;
    if (in_record < kRecordHeaderSize) return in_record < 4 || in_record >= 8;
    if (piece.record.type == StreamRecord::Type::kSnapshot) return false;
    MemorySource source(ByteView(bytes).subspan(piece.begin + kRecordHeaderSize, piece.record.size_bytes));
    return !read_payload(source, [](ByteView) { return Status(); });
}

}  // namespace

TEST_CASE_FIXTURE(Golden, "a whole body gives the databases that Litestream restores") {
    ScriptedWire wire(load(kSample + "/stream.bin"));

    const Error error = follow_records(wire.piece(1000));

    CHECK(error.message == "the server ended the stream");
    CHECK(ends() == lines_of(kSample + "/sha256"));
    CHECK(checks == 1);
}

TEST_CASE_FIXTURE(Golden, "a body with VACUUM and spills that is cut gives what its whole records say") {
    const Error error = follow_records(load(kOther + "/stream.bin"));

    CHECK(error.message == "the connection ended in the middle of a record");
    CHECK(ends() == lines_of(kOther + "/sha256"));
}

TEST_CASE_FIXTURE(Golden, "a body that comes again is passed over") {
    const Bytes body = load(kSample + "/stream.bin");
    const std::vector<Piece> pieces = pieces_of(body);
    (void)follow_records(body);
    const std::size_t before = shown().size();
    const auto last = std::find_if(pieces.begin(), pieces.end(),
                                   [](const Piece& piece) { return piece.record.position.index == 5; });

    (void)follow_records(Bytes(body.begin() + static_cast<std::ptrdiff_t>(last->begin), body.end()));

    CHECK(shown().size() == before);
    CHECK(ends() == lines_of(kSample + "/sha256"));
}

TEST_CASE("a body that is cut around any record's end shows only what is whole") {
    const Damage damage;

    for (const Piece& piece : damage.pieces()) {
        const std::size_t end = piece.end();
        for (const std::size_t size : {end - 1, end, end + 1}) {
            if (size > damage.body().size()) continue;
            CHECK(damage.check(cut(damage.body(), size)) == damage.shown_before(size));
        }
    }
}

TEST_CASE("a body that is cut anywhere shows only what is whole") {
    const Damage damage;

    for (std::size_t size = 0; size < damage.body().size(); size += 997) {
        CHECK(damage.check(cut(damage.body(), size)) == damage.shown_before(size));
    }
}

TEST_CASE("a body with a flipped bit shows nothing of the damaged record or behind it") {
    const Damage damage;
    const std::size_t pages_end = damage.pieces().front().end();

    for (std::size_t at = 0; at < damage.body().size(); at += at < pages_end ? 1009 : 37) {
        Bytes bytes = damage.body();
        bytes[at] ^= static_cast<std::uint8_t>(1u << (at % 8));
        const std::size_t shown = damage.check(bytes);
        const Piece& piece = damage.piece_at(at);
        // That the next index begins is known once its record has a good position.
        const bool is_placed = at >= piece.begin + kLengthAt;
        const std::size_t good = piece.begin + (is_placed ? kRecordHeaderSize : 0);
        if (damages(bytes, piece, at)) CHECK(shown == damage.shown_before(good));
    }
}
