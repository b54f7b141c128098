// FileWatch: sleep until a file changes, also by another process, or until somebody here calls: inotify(7)
// and eventfd(2) in one poll(2).
//
// Thread-safe; one thread sleeps.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace litestream {

class FileWatch {
  public:
    enum class Event { kModified, kClosedByWriter };

    FileWatch();
    ~FileWatch();
    FileWatch(const FileWatch&) = delete;
    FileWatch& operator=(const FileWatch&) = delete;

    // The number under which the file's events come, the same again for the same file; -1: the kernel does
    // not watch it (its limits are in /proc/sys/fs/inotify).
    int add(const std::string& path, Event event);
    void remove(int watch);
    // What has happened since the last call; of equal events in a row, one. `is_over`: the file is gone, and
    // its number may come to mean another one. Watch -1: events were lost, any file may have changed.
    void take_events(const std::function<void(int watch, bool is_over)>& on_event);

    // Until an event, or wake(), also one before, or the time is over. -1: no time limit.
    void sleep(std::int64_t timeout_ms);
    void wake();

  private:
    int inotify_ = -1;
    int wake_ = -1;
};

}  // namespace litestream
