"""How far a live replica is behind, and how fast it catches up. Prints figures and judges nothing.

    live.py MODULE [COMMITS_PER_SECOND [SECONDS [BACKLOG]]]

Lag: from COMMIT returning in the primary to the row being seen by a stock reader of the replica in another process,
with a second reader busy beside it. Backlog: single-row commits that were made while the replica's process was
stopped, and the rate at which it then applies them, beside the rate at which plain SQLite makes such commits in the
same run (synchronous=OFF, so that no disk is measured).
"""
import array
import mmap
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
RATE = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
SECONDS = int(sys.argv[3]) if len(sys.argv) > 3 else 5
BACKLOG = int(sys.argv[4]) if len(sys.argv) > 4 else 100_000
ROWS = RATE * SECONDS

READER = """
import mmap, os, sqlite3, sys, time
path, table, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
db = sqlite3.connect(f'file:{path}?mode=ro', uri=True, timeout=30, isolation_level=None)
with open(table, 'r+b') as file:
    times = memoryview(mmap.mmap(file.fileno(), 0)).cast('q')
seen = 0
while seen < rows:
    try:
        last = db.execute('SELECT coalesce(max(id), 0) FROM t').fetchone()[0]
    except sqlite3.OperationalError as error:
        if 'no such table' not in str(error):
            raise
        last = 0
    now = time.monotonic_ns()
    for row in range(seen, min(last, rows)):
        times[row] = now
    seen = max(seen, last)
    os.sched_yield()
"""

REPLICA = """
import sqlite3, sys
db = sqlite3.connect(f'file:{sys.argv[1]}?vfs=litestream', uri=True, isolation_level=None)
print(db.execute('SELECT litestream_stream(?)', (sys.argv[2],)).fetchone()[0], flush=True)
for line in sys.stdin:
    reached = db.execute('SELECT litestream_wait(?, 120)', (line.strip(),)).fetchone()[0]
    print(reached, flush=True)
"""

LOAD = "import sqlite3\nfirst = sqlite3.connect(':memory:')\nfirst.enable_load_extension(True)\n" \
       "first.load_extension({!r})\n"


def start(code, *arguments):
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)


def open_primary(path):
    first = sqlite3.connect(":memory:")
    first.enable_load_extension(True)
    first.load_extension(MODULE)
    database = sqlite3.connect(f"file:{path}?vfs=litestream", uri=True, isolation_level=None)
    url = database.execute("SELECT litestream_serve('127.0.0.1:0')").fetchone()[0]
    database.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, note)")
    return database, url


def position_of(database):
    return database.execute("SELECT litestream_position()").fetchone()[0]


def wait_for(replica, position):
    replica.stdin.write(position + "\n")
    replica.stdin.flush()
    if replica.stdout.readline() != "1\n":
        sys.exit(f"the replica did not come to {position}")


def map_times(path):
    with open(path, "wb") as file:
        file.truncate(8 * ROWS)
    with open(path, "r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), 0)).cast("q")


def measure_lag(directory, database, replica):
    seen = map_times(f"{directory}/seen")
    map_times(f"{directory}/beside")
    wait_for(replica, position_of(database))
    readers = [start(READER, f"{directory}/replica.db", f"{directory}/{name}", ROWS) for name in ("seen", "beside")]
    committed = array.array("q", bytes(8 * ROWS))
    begin = time.monotonic_ns()
    for row in range(ROWS):
        while time.monotonic_ns() < begin + row * 1_000_000_000 // RATE:
            os.sched_yield()
        database.execute("INSERT INTO t(note) VALUES('a note of some length')")
        committed[row] = time.monotonic_ns()
    for reader in readers:
        if reader.wait(60) != 0:
            sys.exit("a reader failed")
    lags = sorted((seen[row] - committed[row]) / 1e6 for row in range(ROWS))
    took = (committed[-1] - begin) / 1e9
    print(f"lag of {ROWS} commits at {ROWS / took:.0f}/s, two readers: p50 {lags[ROWS // 2]:.2f} ms, "
          f"p99 {lags[ROWS * 99 // 100]:.2f} ms, max {lags[-1]:.2f} ms")


def commit_many(database, count):
    database.execute("PRAGMA synchronous=OFF")
    begin = time.monotonic()
    for _ in range(count):
        database.execute("INSERT INTO t(note) VALUES('a note of some length')")
    return count / (time.monotonic() - begin)


def measure_backlog(directory, database, replica):
    plain = sqlite3.connect(f"{directory}/plain.db", isolation_level=None)
    plain.execute("PRAGMA journal_mode=WAL")
    plain.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, note)")
    plain_rate = commit_many(plain, BACKLOG)
    replica.send_signal(signal.SIGSTOP)
    rate = commit_many(database, BACKLOG)
    position = position_of(database)
    begin = time.monotonic()
    replica.send_signal(signal.SIGCONT)
    wait_for(replica, position)
    applied = BACKLOG / (time.monotonic() - begin)
    print(f"backlog of {BACKLOG} commits: made at {rate:.0f}/s, applied at {applied:.0f}/s; plain SQLite makes them "
          f"at {plain_rate:.0f}/s (ratio {applied / plain_rate:.1f})")


def main():
    with tempfile.TemporaryDirectory() as directory:
        database, url = open_primary(f"{directory}/primary.db")
        replica = start(LOAD.format(MODULE) + REPLICA, f"{directory}/replica.db", f"{url}/primary.db")
        replica.stdout.readline()
        measure_lag(directory, database, replica)
        measure_backlog(directory, database, replica)
        replica.kill()
        replica.wait()


if __name__ == "__main__":
    main()
