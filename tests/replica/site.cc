#include "tests/replica/site.h"

#include <thread>

namespace litestream {
namespace {

constexpr int kTimeoutMs = 30'000;

}  // namespace

void until(const std::function<bool()>& condition) {
    const std::int64_t deadline_ms = steady_clock_ms() + kTimeoutMs;
    while (!condition()) {
        REQUIRE(steady_clock_ms() < deadline_ms);
        std::this_thread::yield();
    }
}

Site::Site(ReplicaFiles& files, const std::string& generation, FakeClock& clock)
    : primary(directory_.path(), generation), files_(files) {
    client_ = *open_replica_client(*Url::parse(files.url()));
    options.name = "test";
    options.sync_interval_ms = 0;
    options.clock = clock.clock();
}

void Site::start() {
    auto watched = std::make_unique<WatchedClient>(
        *client_, [this](const std::string& what, const std::string& name) -> Status {
            const std::string call = what + " " + name;
            if (on_call) on_call(call);
            const std::lock_guard lock(mutex_);
            if (pattern_.empty() || call.find(pattern_) == std::string::npos) return {};
            ++failures_;
            return Error{ErrorCode::kIo, "cannot " + call};
        });
    replicator_ =
        std::make_unique<Replicator>(options, std::move(watched), primary.store(), primary, scheduler_);
}

void Site::fail(const std::string& pattern) {
    const std::lock_guard lock(mutex_);
    pattern_ = pattern;
}

Position Site::commit_in_next_index() {
    primary.next_index();
    return primary.commit();
}

void Site::flush() {
    replicator_->sync_now();
    const bool done = replicator_->wait_for(primary.position(), kTimeoutMs, nullptr);
    REQUIRE_MESSAGE(done, status().last_error);
}

int Site::check_restores_from(const Position& from) {
    int count = 0;
    for (const auto& state : primary.states()) {
        const Position position = *Position::parse(state.first);
        if (position.generation != from.generation || position.before(from)) continue;
        const Restored restored = files_.restore_position(position);
        REQUIRE_MESSAGE(restored.result, state.first << ": " << restored.message());
        CHECK(restored.database == state.second);
        ++count;
    }
    return count;
}

int Site::check_restores_or_not() {
    int count = 0;
    for (const auto& [text, expected] : primary.states()) {
        const Restored restored = files_.restore_position(*Position::parse(text));
        if (!restored.result) continue;
        CHECK(restored.database == expected);
        ++count;
    }
    return count;
}

}  // namespace litestream
