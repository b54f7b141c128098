// What capture costs a commit: single-row inserts, synchronous=NORMAL, page size 4096, through our VFS and
// through the one below, in turns of one run. Prints percentiles and their ratio, and how many segments were
// written meanwhile. Percentiles of single commits are the question, which benchmark libraries do not answer.
//
// Usage: bench-commit-cost [DIRECTORY [COMMITS [PER_SECOND]]]   (PER_SECOND 0: as fast as it goes)
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "tests/support/sqlite_host.h"
#include "vfs/registry.h"

using namespace litestream;
using namespace litestream::test;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int kTurn = 250;

struct Contender {
    const char* name;
    Connection connection;
    std::vector<double> micros;

    Contender(const char* label, const std::string& path, const char* vfs)
        : name(label), connection(path, vfs) {
        connection.exec(
            "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
            "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)");
    }

    void turn(int per_second) {
        sqlite3_stmt* insert = nullptr;
        sqlite3_prepare_v2(connection.get(), "INSERT INTO t(a,b) VALUES(random(), 'some text of a row')", -1,
                           &insert, nullptr);
        auto next = Clock::now();
        for (int i = 0; i < kTurn; ++i) {
            // A spin, since a thread that slept would be measured waking up.
            next += std::chrono::microseconds(per_second > 0 ? 1'000'000 / per_second : 0);
            while (per_second > 0 && Clock::now() < next) {
            }
            const auto begin = Clock::now();
            sqlite3_step(insert);
            micros.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
            sqlite3_reset(insert);
        }
        sqlite3_finalize(insert);
    }

    double percentile(double share) {
        std::sort(micros.begin(), micros.end());
        return micros[static_cast<std::size_t>(share * static_cast<double>(micros.size() - 1))];
    }
};

std::size_t count_segments(SegmentStore& store) {
    std::size_t count = 0;
    Position at{store.generation(), 0, 0};
    for (std::vector<SegmentRef> batch; !(batch = store.segments_after(at, 1u << 30)).empty();
         at = batch.back().end_position()) {
        count += batch.size();
    }
    return count;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1) ::setenv("TMPDIR", argv[1], 1);
    const int commits = argc > 2 ? std::atoi(argv[2]) : 20'000;
    const int per_second = argc > 3 ? std::atoi(argv[3]) : 0;
    const TempDirectory directory;
    const std::string path = directory.path("ours.db");
    Contender plain("plain", directory.path("plain.db"), "unix");
    Contender ours("litestream", path, "litestream");
    for (int done = 0; done < commits; done += kTurn) {
        plain.turn(per_second);
        ours.turn(per_second);
    }
    const auto database = host_registry().find(path);
    if (!database || !database->wait_captured(30'000)) return std::puts("capture did not finish"), 1;

    for (Contender* contender : {&plain, &ours}) {
        std::printf("%-10s p50 %7.1f us  p99 %7.1f us  of %d commits\n", contender->name,
                    contender->percentile(0.5), contender->percentile(0.99), commits);
    }
    std::printf("ratio      p50 %7.2f     p99 %7.2f\n", ours.percentile(0.5) / plain.percentile(0.5),
                ours.percentile(0.99) / plain.percentile(0.99));
    std::printf("segments   %zu written, up to %s\n", count_segments(database->store()),
                database->store().end().to_string().c_str());
    return 0;
}
