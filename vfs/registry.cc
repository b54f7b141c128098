#include "vfs/registry.h"

#include "vfs/capture.h"

namespace litestream {

std::shared_ptr<Database> Registry::acquire(const std::string& path, bool internal) {
    std::shared_ptr<Database> database;
    {
        std::unique_lock lock(mutex_);
        // A handle of our own may join a database that is closing: the close waits for it.
        closed_.wait(lock, [&] {
            const auto found = entries_.find(path);
            return internal || found == entries_.end() || !found->second.closing;
        });
        Entry& entry = entries_[path];
        if (!entry.database) {
            entry.database = std::make_shared<Database>(path, capture_thread_);
            capture_thread_.add(entry.database);
        }
        ++(internal ? entry.internal_handles : entry.application_handles);
        database = entry.database;
    }
    return database;
}

void Registry::release(const std::shared_ptr<Database>& database, bool internal) {
    std::unique_lock lock(mutex_);
    Entry& entry = entries_[database->path()];
    --(internal ? entry.internal_handles : entry.application_handles);
    if (internal || entry.application_handles > 0) return;
    entry.closing = true;
    database->set_closing();
    lock.unlock();
    if (observer_ != nullptr) observer_->on_last_close(*database);
    lock.lock();
    capture_thread_.remove(*database);
    // Before the path can be opened again: the capture lock is the process's, not the object's.
    database->capture().end();
    entries_.erase(database->path());
    closed_.notify_all();
}

std::shared_ptr<Database> Registry::find(const std::string& path) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(path);
    return found == entries_.end() ? nullptr : found->second.database;
}

std::vector<std::shared_ptr<Database>> Registry::all() {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<Database>> databases;
    for (const auto& [path, entry] : entries_) databases.push_back(entry.database);
    return databases;
}

}  // namespace litestream
