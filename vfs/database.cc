#include "vfs/database.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "shared/base/clock.h"
#include "shared/base/events.h"
#include "shared/base/log.h"
#include "vfs/capture.h"
#include "vfs/capture_thread.h"
#include "vfs/clean_close.h"
#include "vfs/reset_guard.h"
#include "vfs/wal_reader.h"

namespace litestream {

namespace {

constexpr int kAskStopMs = 250;
constexpr int kHeaderTries = 50;

std::uint64_t pack(const Salts& salts) { return load_be64(salts.data()); }

// An absent file has none; one that cannot be looked at may have any number.
std::uint64_t size_of_file(const std::string& path) {
    struct stat status = {};
    if (::stat(path.c_str(), &status) == 0) return static_cast<std::uint64_t>(status.st_size);
    return errno == ENOENT ? 0 : UINT64_MAX;
}

std::optional<WalHeader> read_wal_header(const std::string& path) {
    WalReader wal;
    if (!wal.open(path)) return std::nullopt;
    const auto header = wal.header();
    return header ? std::optional(*header) : std::nullopt;
}

std::uint32_t page_size_in(ByteView first_bytes) {
    if (first_bytes.size() < kPageSizeAt + 2) return 0;
    const std::uint32_t page_size = load_page_size(first_bytes.data() + kPageSizeAt);
    return is_page_size(page_size) ? page_size : 0;
}

}  // namespace

Database::Database(std::string path, CaptureThread& thread)
    : path_(std::move(path)),
      thread_(thread),
      store_(path_),
      capture_(std::make_unique<Capture>(*this)),
      reset_guard_(std::make_unique<ResetGuard>()) {
    store_.set_request_listener([this] { ring(); });
}

Database::~Database() = default;

Result<unsigned> Database::file_mode() const {
    struct stat status = {};
    if (::stat(path_.c_str(), &status) != 0) return system_error(errno, path_, "stat");
    return status.st_mode & 0666;
}

void Database::want_capture() {
    {
        const std::lock_guard lock(state_mutex_);
        if (wants_capture_.load()) return;
        has_captured_.store(false);
        evidence_ = OpenEvidence();
        wants_capture_.store(true);
    }
    ring();
}

// One more look, in which capture gives back its lock.
void Database::unwant_capture() {
    wants_capture_.store(false);
    rung_.store(true);
    thread_.wake();
}

void Database::ring() {
    if (!wants_capture_.load()) return;
    rung_.store(true);
    thread_.wake();
}

void Database::on_wal_open(ByteView first_bytes, bool powersafe_overwrite) {
    powersafe_overwrite_.store(powersafe_overwrite);
    page_size_.store(page_size_in(first_bytes));
    if (!wants_capture_.load() || is_mapped())
        return;  // another handle of this process has it open: capture goes on
    OpenEvidence evidence;
    const std::uint64_t wal_bytes = size_of_file(wal_path());
    evidence.wal_was_empty = wal_bytes <= kWalHeaderSize;  // as SQLite reads it (wal.c, walIndexRecover)
    // First the WAL, then the file. As long as that is as the close left it, no checkpoint has written to it,
    // and without one no WAL is begun anew: the life that was seen is the first behind the close.
    const auto wal_header = read_wal_header(wal_path());
    // Power loss may take a file's change time, and the frames behind a WAL's header.
    const OfBoot of_boot = wal_bytes > 0 ? OfBoot::kThis : OfBoot::kAny;
    evidence.closed_at = check_rest(store_.path(), RestKind::kClosed, path_, first_bytes, of_boot);
    if (evidence.closed_at && wal_header) {
        evidence.begun = WalMark{*evidence.closed_at, wal_header->salts, 0, {}};
    }
    if (evidence.wal_was_empty) {
        evidence.rested_at = check_rest(store_.path(), RestKind::kAtRest, path_, first_bytes);
    }
    wal_deleted_.store(false);
    has_captured_.store(false);
    const std::lock_guard lock(state_mutex_);
    evidence_ = std::move(evidence);
}

std::optional<OpenEvidence> Database::take_evidence() {
    const std::lock_guard lock(state_mutex_);
    return std::exchange(evidence_, std::nullopt);
}

bool Database::has_evidence() const {
    const std::lock_guard lock(state_mutex_);
    return evidence_.has_value();
}

void Database::on_map(const void* handle, const volatile void* region0) {
    {
        const std::lock_guard lock(shm_mutex_);
        mappings_.push_back({handle, region0});
        reset_guard_->allow();
    }
    ring();
}

// With the last mapping goes the last sight of the wal-index: what is committed is captured first, or stays
// in the WAL for the next process.
void Database::on_unmap(const void* handle) {
    if (is_last_mapping(handle) && capture_error().empty()) wait_captured(kLastUnmapMs);
    const std::lock_guard lock(shm_mutex_);
    std::erase_if(mappings_, [handle](const Mapping& mapping) { return mapping.handle == handle; });
    if (mappings_.empty()) reset_guard_->close();
}

bool Database::is_last_mapping(const void* handle) const {
    const std::lock_guard lock(shm_mutex_);
    return mappings_.size() == 1 && mappings_.front().handle == handle;
}

// A writer is between the two copies for nanoseconds, unless it was stopped or killed there.
std::optional<WalIndexHeader> Database::mapped_header() const {
    for (int i = 0; i < kHeaderTries; ++i) {
        {
            const std::lock_guard lock(shm_mutex_);
            if (mappings_.empty()) return std::nullopt;
            if (const auto header = read_wal_index_header(mappings_.front().region0)) return header;
        }
        std::this_thread::yield();
    }
    return std::nullopt;
}

std::optional<WalIndexHeader> Database::wal_index_header() const {
    if (const auto target = exclusive_.target()) return target;
    return mapped_header();
}

bool Database::is_mapped() const {
    if (exclusive_.kind() != ExclusiveWal::Kind::kNone) return true;
    const std::lock_guard lock(shm_mutex_);
    return !mappings_.empty();
}

void Database::on_write_unlock(std::uint32_t change) {
    own_change_.store(change);
    is_writing_.store(false);
    has_written_.store(true);
    ring();
}

bool Database::is_captured(const WalIndexHeader& header) const {
    if (!has_captured_.load()) return false;
    if (header.frame_count == 0) return captured_change_.load() == header.change;
    const std::uint64_t salts = captured_salts_.load();
    const std::uint32_t frames = captured_frames_.load();
    return salts == pack(header.salts) && frames == header.frame_count && salts == captured_salts_.load();
}

bool Database::drain() {
    const auto header = wal_index_header();
    if (is_replica()) {
        is_drained_.store(header && applied_at(*header) == applied_state());
        return true;
    }
    is_drained_.store(header && wants_capture_.load() && is_captured(*header));
    if (!header || !wants_capture_.load() || is_drained_.load()) return true;
    ring();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kDrainMs);
    std::unique_lock lock(state_mutex_);
    const std::uint64_t looks = stand_by_looks_;
    captured_.wait_until(lock, deadline, [&] { return is_captured(*header) || stand_by_looks_ != looks; });
    const bool drained = is_captured(*header);
    is_drained_.store(drained);
    return drained || wal_size(header->frame_count, header->page_size) > gate_limit_bytes_.load();
}

// If everything was captured when EXCLUSIVE was granted (drain), nothing can have changed since.
void Database::on_exclusive_unlock(ByteView first_bytes) {
    exclusive_.end();
    if (!wal_deleted_.exchange(false) || !is_drained_.load()) return;
    const auto mode = file_mode();
    if (!mode) return;
    const Rest rest{is_replica() ? applied() : store_.end(), Bytes(first_bytes.begin(), first_bytes.end())};
    const Status written = write_rest(store_.path(), RestKind::kClosed, path_, rest, *mode);
    if (!written) log_line("litestream: clean close not recorded: " + written.error().message);
}

bool Database::wait_captured(int timeout_ms, const std::function<bool()>& stop) {
    const auto target = wal_index_header();
    if (!target || !wants_capture_.load()) return false;
    ring();
    const auto reached = [&] {
        if (is_captured(*target)) return true;
        // Capture may have gone on to later commits, or to another life.
        const auto ahead = static_cast<std::int32_t>(captured_change_.load() - target->change);
        return has_captured_.load() && ahead > 0;
    };
    const std::int64_t deadline = steady_clock_ms() + timeout_ms;
    std::unique_lock lock(state_mutex_);
    const std::uint64_t looks = stand_by_looks_;
    while (!reached()) {
        if (stand_by_looks_ != looks) return false;
        const std::int64_t left = deadline - steady_clock_ms();
        if (left <= 0) return false;
        captured_.wait_for(lock, std::chrono::milliseconds(std::min<std::int64_t>(left, kAskStopMs)));
        lock.unlock();
        const bool stopped = stop && stop();
        lock.lock();
        if (stopped) return false;
    }
    return true;
}

std::string Database::capture_error() const {
    const std::lock_guard lock(state_mutex_);
    return capture_error_;
}

std::uint64_t Database::pending_wal_bytes() const {
    if (is_standing_by()) return 0;  // only the holder knows
    const auto header = wal_index_header();
    if (!header || !wants_capture_.load() || is_captured(*header)) return 0;
    const bool same_life = captured_salts_.load() == pack(header->salts);
    const std::uint32_t captured = same_life ? captured_frames_.load() : 0;
    if (header->frame_count <= captured) return 0;
    return wal_size(header->frame_count - captured, header->page_size) - kWalHeaderSize;
}

void Database::captured_lives(CapturedLife& current, CapturedLife& previous) const {
    const std::lock_guard lock(state_mutex_);
    current = current_;
    previous = previous_;
}

void Database::publish_captured(const CapturedLife& current, const CapturedLife& previous) {
    const std::lock_guard lock(state_mutex_);
    captured_frames_.store(0);
    captured_salts_.store(pack(current.salts));
    captured_frames_.store(current.frames);
    captured_change_.store(current.change);
    has_captured_.store(true);
    current_ = current;
    previous_ = previous;
    if (!capture_error_.empty()) record_event(path_, "capture_recovered", "it was: " + capture_error_);
    capture_error_.clear();
    captured_.notify_all();
}

void Database::stand_by(const std::string& why) {
    set_capture_error(why);
    const std::lock_guard lock(state_mutex_);
    has_captured_.store(false);
    is_standing_by_.store(true);
    ++stand_by_looks_;
    captured_.notify_all();
}

void Database::end_stand_by(bool has_lost_store) {
    if (is_standing_by_.exchange(false) || has_lost_store) ++take_overs_;
}

void Database::set_capture_error(const std::string& message) {
    const std::lock_guard lock(state_mutex_);
    if (!message.empty() && message != capture_error_) {
        log_line("litestream: " + path_ + ": " + message);
        record_event(path_, "capture_error", message);
    }
    capture_error_ = message;
}

}  // namespace litestream
