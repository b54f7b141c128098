#include "shared/replica/fetch_crew.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <new>
#include <stdexcept>

#include "shared/base/threads.h"

namespace litestream {
namespace {

constexpr std::uint64_t kMostKeptFile = 256u << 10;
constexpr std::uint64_t kMostKeptByHand = 1u << 20;

}  // namespace

// Texts that are kept in place: where memory is out, none is to be had for them either.
Status caught() {
    try {
        throw;
    } catch (const std::bad_alloc&) {
        return Error{ErrorCode::kIo, "out of memory"};
    } catch (const std::length_error&) {
        return Error{ErrorCode::kIo, "too long"};
    } catch (...) {
        return Error{ErrorCode::kIo, "failed"};
    }
}

FetchCrew::FetchCrew(ReplicaClient& client, unsigned hands)
    : client_(client), hands_(client.duplicates(hands)), keepable_(hands_.size() * kMostKeptByHand) {}

FetchCrew::~FetchCrew() {
    cancel();
    join();
}

Status FetchCrew::for_each(std::size_t count, const Visit& visit) {
    if (hands_.empty() || count == 1) {
        for (std::size_t i = 0; i < count; ++i) LITESTREAM_TRY(visit(client_, i));
        return {};
    }
    std::atomic<std::size_t> next = 0;
    std::atomic<bool> has_failed = false;
    Status first;  // written by whoever fails first, read behind join()
    LITESTREAM_TRY(start(count, [&](ReplicaClient& client) {
        for (std::size_t i = next++; i < count && !has_failed.load(); i = next++) {
            Status status = guarded([&] { return visit(client, i); });
            if (status) continue;
            if (!has_failed.exchange(true)) {
                first = std::move(status);
                cancel();
            }
            return;
        }
    }));
    join();
    return first;
}

Status FetchCrew::start(std::size_t most, Work work) {
    work_ = std::move(work);
    const BlockedSignals blocked;
    try {
        threads_.reserve(hands_.size());
        while (threads_.size() < std::min(most, hands_.size())) {
            ReplicaClient& hand = *hands_[threads_.size()];
            threads_.emplace_back([this, &hand] { work_(hand); });
        }
    } catch (const std::exception& failure) {
        // Fewer do as well.
        if (threads_.empty()) {
            return Error{ErrorCode::kIo, std::string("cannot start a thread: ") + failure.what()};
        }
    }
    return {};
}

void FetchCrew::join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
}

void FetchCrew::cancel() {
    for (const auto& hand : hands_) hand->cancel();
}

// --- Ends of files ---

bool FetchCrew::reserve(std::uint64_t size_bytes) {
    if (size_bytes > kMostKeptFile) return false;
    const std::lock_guard lock(mutex_);
    if (size_bytes > keepable_) return false;
    keepable_ -= size_bytes;
    return true;
}

Result<std::optional<Trailer>> FetchCrew::trailer(ReplicaClient& client, const std::string& name,
                                                  std::uint64_t size_bytes) {
    if (size_bytes == 0 || !reserve(size_bytes)) return client.trailer(name);
    LITESTREAM_ASSIGN(FilePart part, client.read_part(name, 0, size_bytes, ""));
    if (part.file_size != size_bytes || part.bytes.size() != size_bytes) return client.trailer(name);
    auto found = trailer_at_end(part.bytes);
    const std::lock_guard lock(mutex_);
    kept_[name] = std::move(part.bytes);
    return found;
}

std::optional<Bytes> FetchCrew::take_kept(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = kept_.find(name);
    if (found == kept_.end()) return std::nullopt;
    Bytes bytes = std::move(found->second);
    kept_.erase(found);
    return bytes;
}

}  // namespace litestream
