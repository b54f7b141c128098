#include "shared/replica/fetch_ahead.h"

#include <algorithm>

#include "shared/replica/generation.h"

namespace litestream {
namespace {

FetchSizes with_window(FetchSizes sizes, std::size_t hands) {
    if (sizes.window == 0) sizes.window = std::uint64_t{sizes.piece} * hands;
    return sizes;
}

}  // namespace

class FetchAhead::Reader final : public Source {
  public:
    explicit Reader(FetchAhead& ahead) : ahead_(ahead) {}
    Result<std::size_t> read(ByteSpan buffer) override { return ahead_.read(buffer); }

  private:
    FetchAhead& ahead_;
};

FetchAhead::FetchAhead(FetchCrew& crew, std::vector<File> files, FetchSizes sizes)
    : crew_(crew), files_(std::move(files)), sizes_(with_window(sizes, crew.size())) {}

FetchAhead::~FetchAhead() {
    bool is_early = false;
    {
        const std::lock_guard lock(mutex_);
        const auto is_done = [](const auto& piece) { return piece->is_done; };
        is_early = !std::exchange(is_over_, true) || !std::all_of(pieces_.begin(), pieces_.end(), is_done);
        changed_.notify_all();
    }
    if (is_early) crew_.cancel();
    crew_.join();
}

Status FetchAhead::start() {
    return crew_.start(crew_.size(), [this](ReplicaClient& client) { work(client); });
}

std::uint64_t FetchAhead::most_held() const {
    const std::lock_guard lock(mutex_);
    return most_held_;
}

// --- The hands ---

void FetchAhead::work(ReplicaClient& client) {
    Status status = guarded([&]() -> Status {
        while (Piece* const piece = next_piece()) fetch(client, *piece);
        return {};
    });
    if (status) return;
    const std::lock_guard lock(mutex_);
    failure_ = std::move(status);
    is_over_ = true;
    changed_.notify_all();
}

bool FetchAhead::may_begin(std::size_t size) const {
    if (next_offset_ > 0 && !has_version_) return false;
    return pieces_.empty() || held_bytes_ + size <= sizes_.window;
}

// Null: there is none any more.
FetchAhead::Piece* FetchAhead::next_piece() {
    std::unique_lock lock(mutex_);
    while (!is_over_) {
        while (next_file_ < files_.size() && files_[next_file_].size_bytes == 0) ++next_file_;
        if (next_file_ == files_.size()) {
            is_over_ = true;
            break;
        }
        const std::uint64_t left = files_[next_file_].size_bytes - next_offset_;
        const std::size_t wanted = next_offset_ == 0 ? sizes_.first : sizes_.piece;
        const std::size_t size = std::min<std::uint64_t>(left, wanted);
        if (may_begin(size)) return begin(size);
        changed_.wait(lock);
    }
    changed_.notify_all();
    return nullptr;
}

FetchAhead::Piece* FetchAhead::begin(std::size_t size) {
    auto made = std::make_unique<Piece>();
    Piece& piece = *made;
    piece.file = next_file_;
    piece.offset = next_offset_;
    piece.size = size;
    if (next_offset_ > 0) piece.version = version_;
    pieces_.push_back(std::move(made));  // what is in there will be done
    if (next_offset_ == 0) has_version_ = false;
    held_bytes_ += size;
    most_held_ = std::max(most_held_, held_bytes_);
    next_offset_ += size;
    if (next_offset_ < files_[next_file_].size_bytes) return &piece;
    ++next_file_;
    next_offset_ = 0;
    return &piece;
}

void FetchAhead::fetch(ReplicaClient& client, Piece& piece) {
    const File& file = files_[piece.file];
    FilePart part;
    Status status = guarded([&]() -> Status {
        if (auto kept = piece.offset == 0 ? crew_.take_kept(file.name) : std::nullopt) {
            part = {*std::move(kept), file.size_bytes, ""};
            return {};
        }
        LITESTREAM_ASSIGN(part, client.read_part(file.name, piece.offset, piece.size, piece.version));
        return check(piece, part);
    });
    finish(piece, std::move(part), std::move(status));
}

Status FetchAhead::check(const Piece& piece, const FilePart& part) const {
    const File& file = files_[piece.file];
    const bool is_other =
        part.file_size != file.size_bytes || (piece.offset > 0 && part.version != piece.version);
    if (is_other) return Error{ErrorCode::kIo, file.name + ": was replaced since it was listed"};
    if (part.bytes.size() >= piece.size) return {};
    return corrupt(file.name + ": the store sent less than was asked for");
}

void FetchAhead::finish(Piece& piece, FilePart part, Status status) {
    const std::lock_guard lock(mutex_);
    piece.is_done = true;
    if (!status) {
        piece.status = unreadable(std::move(status).error());
        is_over_ = true;
    } else {
        held_bytes_ += part.bytes.size() - piece.size;
        most_held_ = std::max(most_held_, held_bytes_);
        piece.bytes = std::move(part.bytes);
    }
    if (piece.offset == 0 && piece.file == next_file_) {
        has_version_ = true;
        version_ = std::move(part.version);
        // All of it, from a store that cannot cut.
        if (piece.bytes.size() == files_[piece.file].size_bytes) {
            ++next_file_;
            next_offset_ = 0;
        }
    }
    changed_.notify_all();
}

// --- The reader ---

Result<std::unique_ptr<Source>> FetchAhead::open(const std::string& name) {
    if (is_open_) {
        ++reading_;
        read_bytes_ = 0;
    }
    is_open_ = true;
    if (reading_ >= files_.size() || files_[reading_].name != name || taken_ != bytes_.size()) {
        return bad_input(name + ": is not the file that comes next");
    }
    return std::unique_ptr<Source>(std::make_unique<Reader>(*this));
}

Result<std::size_t> FetchAhead::read(ByteSpan buffer) {
    if (taken_ == bytes_.size()) {
        if (read_bytes_ == files_[reading_].size_bytes) return std::size_t{0};
        LITESTREAM_TRY(take_piece());
    }
    const std::size_t n = std::min(buffer.size(), bytes_.size() - taken_);
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(taken_), n, buffer.begin());
    taken_ += n;
    read_bytes_ += n;
    return n;
}

Status FetchAhead::take_piece() {
    std::unique_lock lock(mutex_);
    held_bytes_ -= std::exchange(bytes_, Bytes()).size();
    taken_ = 0;
    changed_.notify_all();
    // A hand that failed by itself leaves its piece as it is.
    const auto is_waiting = [this] { return pieces_.empty() ? !is_over_ : !pieces_.front()->is_done; };
    changed_.wait(lock, [&] { return !is_waiting() || !failure_; });
    if (pieces_.empty() || is_waiting()) {
        LITESTREAM_TRY(failure_);
        return corrupt(files_[reading_].name + ": ends before its end");
    }
    const std::unique_ptr<Piece> piece = std::move(pieces_.front());
    pieces_.pop_front();
    changed_.notify_all();
    LITESTREAM_TRY(piece->status);
    bytes_ = std::move(piece->bytes);
    return {};
}

}  // namespace litestream
