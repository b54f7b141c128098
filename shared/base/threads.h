// BlockedSignals: while one lives, the calling thread and those that it makes take no signal. The host's
// signals belong to the host's threads, and a thread inherits the mask of its maker. Thread-bound.
#pragma once

#include <signal.h>

namespace litestream {

class BlockedSignals {
  public:
    BlockedSignals() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    BlockedSignals(const BlockedSignals&) = delete;
    BlockedSignals& operator=(const BlockedSignals&) = delete;

  private:
    sigset_t before_;
};

}  // namespace litestream
