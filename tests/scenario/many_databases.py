"""1,000 databases in one process (as many as descriptors are allowed): each one replicates, what it costs in threads, descriptors and memory is
printed and bounded, and when they are closed it is given back. Some restore.

Usage: many_databases.py MODULE [COUNT]
"""
import os
import resource
import sqlite3
import sys
import tempfile
import time

from stock_shell import expect, fail, skip, wait_until

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
WANTED = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
LEAST = 100
SAMPLE = 20
# Of a database: its file, WAL and wal-index; and of ours a descriptor of the WAL and one of the file, the lock of
# who captures, the mark of how far, and the position. Of the process: what those that replicate have open at a
# time.
DESCRIPTORS_EACH = 8
DESCRIPTORS = 20
THREADS = 6  # the host's, capture, two that replicate, and some room
MEMORY_EACH_KIB = 200


def one(connection, sql, *values):
    return connection.execute(sql, values).fetchone()[0]


def cost():
    """Threads, descriptors, and resident KiB of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        resident = int(file.read().split()[1]) * resource.getpagesize() // 1024
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd")), resident


def databases_allowed():
    """As many as are wanted, or as the hard limit of descriptors leaves room for; the soft one is raised."""
    each = DESCRIPTORS_EACH + 2
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard // each)
    if count < min(WANTED, LEAST):
        skip(f"this process may have no more than {hard} descriptors")
    if soft != resource.RLIM_INFINITY and soft < count * each:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count * each, hard))
    return count


def open_one(directory, number):
    connection = sqlite3.connect(f"file:{directory}/{number}.db?vfs=litestream", uri=True, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    one(connection, "SELECT litestream_replicate(?)", f"file://{directory}/backup/{number}")
    connection.execute("CREATE TABLE t(a)")
    connection.execute("INSERT INTO t VALUES(?)", (number,))
    return connection


def check_restores(connections, directory):
    for number in range(0, len(connections), max(len(connections) // SAMPLE, 1)):
        path = f"{directory}/restored.db"
        position = one(connections[number], "SELECT litestream_position()")
        expect(f"{number}.db restores to",
               one(connections[0], "SELECT litestream_restore(?, ?)", f"file://{directory}/backup/{number}", path),
               position)
        restored = sqlite3.connect(path)
        expect(f"rows of {number}.db", restored.execute("SELECT a FROM t").fetchall(), [(number,), (-number,)])
        restored.close()
        os.unlink(path)


def check_bounded(what, count, before, now):
    threads, descriptors, resident = now
    each = (descriptors - before[1]) / count, (resident - before[2]) / count
    print(f"{what}: {threads} threads, {descriptors} descriptors ({each[0]:.2f} for each database), "
          f"{resident // 1024} MiB resident ({each[1]:.0f} KiB for each)", flush=True)
    too_many = descriptors - before[1] > DESCRIPTORS_EACH * count + DESCRIPTORS
    if threads > THREADS or too_many or each[1] > MEMORY_EACH_KIB:
        fail(f"{what}: more than {THREADS} threads, {DESCRIPTORS_EACH} descriptors or {MEMORY_EACH_KIB} KiB each")


def work(directory, count):
    began = time.monotonic()
    loader = sqlite3.connect(":memory:")
    loader.enable_load_extension(True)
    loader.load_extension(MODULE)
    open_one(directory, count).close()  # what the process has from its first database on
    before = cost()
    connections = [open_one(directory, number) for number in range(count)]
    check_bounded("open", count, before, cost())
    for number, connection in enumerate(connections):
        connection.execute("INSERT INTO t VALUES(?)", (-number,))

    behind = "SELECT count(*) FROM litestream_replicas WHERE state <> 'ok' OR pending_bytes > 0 OR position IS NULL"
    wait_until("all are replicated", lambda: one(loader, behind) == 0)
    expect("replicas", one(loader, "SELECT count(*) FROM litestream_replicas"), count)
    check_bounded("replicated", count, before, cost())
    print(f"after {time.monotonic() - began:.1f} s", flush=True)
    check_restores(connections, directory)

    for connection in connections:
        connection.close()
    after = cost()
    print(f"closed: {after[0]} threads, {after[1]} descriptors, {after[2] // 1024} MiB resident, "
          f"{time.monotonic() - began:.1f} s in all")
    expect("databases that are left", one(loader, "SELECT count(*) FROM litestream_databases"), 0)
    expect("descriptors that are left", after[1], before[1])


def main():
    if not hasattr(sqlite3.Connection, "enable_load_extension"):
        skip("this Python's sqlite3 cannot load extensions")
    count = databases_allowed()
    print(f"{count} databases")
    with tempfile.TemporaryDirectory() as directory:
        work(os.path.realpath(directory), count)


main()
