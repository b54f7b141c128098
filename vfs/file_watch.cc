#include "vfs/file_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

namespace litestream {

namespace {

constexpr std::int64_t kMaxSleepMs = 3'600'000;
constexpr int kDeafMs = 100;  // where no descriptor is left to be called through

}  // namespace

FileWatch::FileWatch()
    : inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)), wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

FileWatch::~FileWatch() {
    if (inotify_ >= 0) ::close(inotify_);
    if (wake_ >= 0) ::close(wake_);
}

int FileWatch::add(const std::string& path, Event event) {
    const std::uint32_t mask = event == Event::kModified ? IN_MODIFY : IN_CLOSE_WRITE;
    return inotify_ < 0 ? -1 : ::inotify_add_watch(inotify_, path.c_str(), mask | IN_DONT_FOLLOW);
}

void FileWatch::remove(int watch) {
    if (watch >= 0) ::inotify_rm_watch(inotify_, watch);
}

void FileWatch::take_events(const std::function<void(int watch, bool is_over)>& on_event) {
    if (inotify_ < 0) return;
    alignas(inotify_event) std::array<char, 4096> buffer;
    while (true) {
        const ssize_t size = ::read(inotify_, buffer.data(), buffer.size());
        if (size <= 0) return;
        for (std::size_t at = 0; at < static_cast<std::size_t>(size);) {
            inotify_event event;
            std::memcpy(&event, buffer.data() + at, sizeof event);
            on_event(event.wd, (event.mask & IN_IGNORED) != 0);  // wd -1: IN_Q_OVERFLOW
            at += sizeof event + event.len;
        }
    }
}

void FileWatch::sleep(std::int64_t timeout_ms) {
    std::array<pollfd, 2> files = {pollfd{wake_, POLLIN, 0}, pollfd{inotify_, POLLIN, 0}};
    int limit = static_cast<int>(std::min(timeout_ms, kMaxSleepMs));
    if (wake_ < 0 && (limit < 0 || limit > kDeafMs)) limit = kDeafMs;
    ::poll(files.data(), files.size(), limit);
    std::uint64_t calls = 0;
    if (files[0].revents != 0 && ::read(wake_, &calls, sizeof calls) < 0) return;  // somebody else took them
}

void FileWatch::wake() {
    const std::uint64_t one = 1;
    if (::write(wake_, &one, sizeof one) < 0) return;  // full: the sleeper has been called often enough
}

}  // namespace litestream
