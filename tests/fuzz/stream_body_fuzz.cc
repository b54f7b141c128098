#include <algorithm>
#include <optional>

#include "shared/stream/message_follower.h"
#include "shared/stream/record_follower.h"
#include "tests/fuzz/check.h"
#include "tests/support/temp_directory.h"

using namespace litestream;

namespace {

// The first byte of an input: how what follows is served.
enum Way : std::uint8_t {
    kSpeaksMessages = 1,   // liblitestream/1, else the records of e6f7c60
    kGoesSilent = 4,       // instead of ending
    kComesInPieces = 8,    // of a few bytes
    kFailsFirstCheck = 16  // of a snapshot that may be torn
};

constexpr std::uint32_t kPageSize = 512;  // no answer without one is accepted

class BodyWire final : public StreamWire {
  public:
    BodyWire(ByteView body, std::uint8_t way) : body_(body), way_(way) {}

    Result<std::optional<std::size_t>> read_for(ByteSpan buffer, std::int64_t) override {
        if (body_.empty() && (way_ & kGoesSilent) != 0) return std::optional<std::size_t>();
        const std::size_t most = (way_ & kComesInPieces) != 0 ? 7 : buffer.size();
        const std::size_t size = std::min({most, buffer.size(), body_.size()});
        std::copy_n(body_.begin(), size, buffer.begin());
        body_ = body_.subspan(size);
        return std::optional(size);
    }
    Status write(ByteView bytes) override {
        claim(!bytes.empty());
        return {};
    }

  private:
    ByteView body_;
    const std::uint8_t way_;
};

// Keeps no page: it claims that each call is one that a database could follow.
class ClaimingTarget final : public ReplicaTarget {
  public:
    SourceState state() const override { return shown_; }
    std::uint32_t page_size() const override { return shown_.page_size; }

    Status apply_image(const File& image, std::uint32_t page_size, std::uint32_t page_count,
                       const SourceState& state) override {
        claim(pages_ == 0 && is_page_size(page_size) && page_count > 0 && page_size == state.page_size);
        std::uint8_t last[1];
        claim(image.read_exactly_at(std::uint64_t{page_size} * page_count - 1, last).has_value());
        shown_ = next_ = state;
        claim_whole(state);
        return {};
    }
    Status add_page(std::uint32_t page_no, ByteView page) override {
        claim(page_no > 0 && is_page_size(static_cast<std::uint32_t>(page.size())));
        claim(shown_.page_size == 0 || page.size() == shown_.page_size);
        pages_++;
        return {};
    }
    Status end_commit(std::uint32_t page_count, const SourceState& state) override {
        claim(pages_ > 0 && page_count > 0);
        claim(next_.position.before(state.position));
        claim_whole(state);
        pages_ = 0;
        next_ = state;
        return {};
    }
    Status flush() override {
        claim(pages_ == 0);
        shown_ = next_;
        return {};
    }
    void set_state(const SourceState& state) override {
        claim(pages_ == 0 && shown_.position.before(state.position));
        claim_whole(state);
        shown_ = next_ = state;
    }

  private:
    // A position is the end of a commit: behind the header and a number of whole frames.
    static void claim_whole(const SourceState& state) {
        claim(!state.position.empty());
        claim(state.has_header == (state.position.offset >= kWalHeaderSize));
        if (!state.has_header) return;
        claim(state.header.page_size == state.page_size);
        claim((state.position.offset - kWalHeaderSize) % (kFrameHeaderSize + state.page_size) == 0);
    }

    SourceState shown_, next_;
    std::uint64_t pages_ = 0;  // since the last commit
};

// The store counts commits, the replica also the header that a new index begins with.
bool ends_at(const SegmentStore& store, const Position& position) {
    if (position.empty() || position.offset == kWalHeaderSize) return true;
    return store.end() == position;
}

}  // namespace

// However a body goes on, the follower ends with a reason, has shown whole commits in order, and leaves a
// store that ends where the replica does, with nothing half made beside it.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::uint8_t way = data[0];
    const TempDirectory directory;
    SegmentStore store(directory.path("replica.db"));
    ClaimingTarget target;
    ReplicaFeed feed(store, target);
    claim(store.open(0600).has_value() && feed.open().has_value());
    StreamSource source;
    source.meta_path = store.path();
    source.limits.silence_ms = source.limits.alive_ms = 0;
    bool fails = (way & kFailsFirstCheck) != 0;
    source.check = [&fails](const std::string&) {
        return std::exchange(fails, false) ? Status(corrupt("torn")) : Status();
    };
    BodyWire wire({data + 1, size - 1}, way);
    StreamContext context{
        wire, source, feed, kPageSize, 0, [](const std::function<void(StreamProgress&)>& change) {
            StreamProgress progress;
            change(progress);
        }};

    const Error end =
        (way & kSpeaksMessages) != 0 ? MessageFollower(context).run() : RecordFollower(context).run();

    claim(!end.message.empty());
    claim(feed.state() == target.state());
    claim(ends_at(store, feed.state().position));
    const auto entries = list_directory(store.path());
    claim(entries.has_value());
    for (const DirectoryEntry& entry : *entries) claim(!entry.name.ends_with(".tmp"));
    return 0;
}
