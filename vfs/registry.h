// Registry: which databases this process has open through our VFS, by path; starts and ends their capture.
//
// Thread-safe. mutex_ stands above the mutexes of Database and CaptureThread, below all of SQLite's, and is
// not held while an observer runs.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "vfs/capture_thread.h"
#include "vfs/database.h"

namespace litestream {

// Told about the life of a database, on the SQLite thread that opens or closes it.
class RegistryObserver {
  public:
    virtual ~RegistryObserver() = default;
    // A handle of the application is there; the file may not be a database yet. `name`: as SQLite gives it to
    // xOpen, with the parameters of its URI behind it.
    virtual void on_open(const std::shared_ptr<Database>& database, const char* name) = 0;
    // The last handle of the application is closing: the last chance to hand on what was captured. Must
    // return soon, and must end everything that uses the database through handles of our own.
    virtual void on_last_close(Database& database) = 0;
};

class Registry {
  public:
    void set_observer(RegistryObserver* observer) { observer_ = observer; }  // once, at load

    // A handle of the application, or (`internal`) of ours. Every call is paired with release().
    std::shared_ptr<Database> acquire(const std::string& path, bool internal);
    void tell_open(const std::shared_ptr<Database>& database, const char* name) {
        if (observer_ != nullptr) observer_->on_open(database, name);
    }
    void release(const std::shared_ptr<Database>& database, bool internal);
    std::shared_ptr<Database> find(const std::string& path);
    std::vector<std::shared_ptr<Database>> all();
    CaptureThread& capture_thread() { return capture_thread_; }

  private:
    struct Entry {
        std::shared_ptr<Database> database;
        int application_handles = 0;
        int internal_handles = 0;
        bool closing = false;  // on_last_close is running; opening the path again waits for it
    };
    std::mutex mutex_;
    std::condition_variable closed_;
    std::map<std::string, Entry> entries_;  // guarded by mutex_
    RegistryObserver* observer_ = nullptr;
    CaptureThread capture_thread_;
};

}  // namespace litestream
