// Waiting: how long a function that blocks may still wait, and whether the user has interrupted it.
//
// SQLite tells a running statement of sqlite3_interrupt() only between its own steps. A function of ours that
// waits has to ask: from 3.41 on through sqlite3_is_interrupted(), before by running a statement of no
// consequence, which fails with SQLITE_INTERRUPT while the statement that called us is interrupted. The
// latter also asks the host's progress handler now and then.
//
// What waits in the network cannot ask: run_interruptibly() does it on a thread of its own.
//
// Thread-bound: the thread of the call.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "shared/base/result.h"
#include "vfs/sqlite.h"

namespace litestream {

class Waiting {
  public:
    // Until `timeout_ms` from now at most.
    Waiting(sqlite3* connection, std::int64_t timeout_ms);

    int left_ms() const;
    bool is_over() const { return left_ms() == 0; }
    // Asks at most four times a second; once true, it stays true.
    bool is_interrupted();
    // For the functions of lower floors that wait; refers to this object.
    std::function<bool()> stop() {
        return [this] { return is_interrupted(); };
    }
    // Why a wait ended early: interrupted, or else what the caller says about being late.
    Error failure(const std::string& late);

  private:
    sqlite3* const connection_;
    const std::int64_t deadline_ms_;
    std::int64_t next_ask_ms_ = 0;
    bool interrupted_ = false;
};

// Does `work` on another thread while this one, the call's, looks whether the user interrupts. If so,
// `cancel` is called, `stop` becomes true, and an error of the work is kInterrupt. Waits for the work in any
// case; what it throws is thrown here.
using Stop = std::function<bool()>;
Status run_interruptibly(sqlite3* connection, const std::function<void()>& cancel,
                         const std::function<Status(const Stop& stop)>& work);

}  // namespace litestream
