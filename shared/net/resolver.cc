#include "shared/net/resolver.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <mutex>
#include <system_error>
#include <thread>

#include "shared/base/threads.h"

namespace litestream {
namespace {

using Answer = Result<std::vector<Endpoint>>;

// Shared by the one who asks and the thread, whoever leaves last.
struct Question {
    std::string host;
    std::string port;
    File answered{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd"};

    std::mutex mutex;
    Answer answer = net_error("not answered");  // guarded by mutex

    void ask() {
        Answer found = look_up(host, port, Lookup::kName);
        const std::lock_guard lock(mutex);
        answer = std::move(found);
        (void)::eventfd_write(answered.descriptor(), 1);
    }
};

Status start_thread(const std::shared_ptr<Question>& question) {
    const BlockedSignals blocked;
    Status started;
    try {
        std::thread([question] { question->ask(); }).detach();
    } catch (const std::system_error& failure) {
        started = net_error(std::string("no thread can be started: ") + failure.what());
    }
    return started;
}

}  // namespace

Answer resolve(const std::string& host, const std::string& port, std::int64_t deadline_ms,
               const Canceller& canceller) {
    if (auto numeric = look_up(host, port, Lookup::kNumericOnly)) return numeric;
    const auto question = std::make_shared<Question>();
    if (!question->answered.is_open()) return net_error(EMFILE);
    question->host = host;
    question->port = port;
    LITESTREAM_TRY(start_thread(question));
    LITESTREAM_ASSIGN(const bool is_ready,
                      canceller.wait(question->answered.descriptor(), POLLIN, deadline_ms));
    if (!is_ready) return net_error("its name was not resolved in time");
    const std::lock_guard lock(question->mutex);
    return question->answer;
}

}  // namespace litestream
