"""What is large, by hand: it needs free disk below TMPDIR, about 1 GiB for each GiB of --commit and little for
--large, which is sparse on the way in, and full size once restored.

  a sparse database   its snapshot and its restore, and how much memory each took
  one large commit    captured, replicated and restored
  a store that is down for the whole run, then comes back

Usage: large.py MODULE --large [GIB [COMMIT_GIB]]     (20 and 2)
"""
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time

from stock_shell import expect, fail, skip

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
GIB = 1 << 30
PAGE = 4096
MEMORY_MIB = 200  # more than before, at its peak
WAIT_S = 3600


def load():
    loader = sqlite3.connect(":memory:")
    loader.enable_load_extension(True)
    loader.load_extension(MODULE)
    return loader


def one(connection, sql, *values):
    return connection.execute(sql, values).fetchone()[0]


def open_captured(path):
    app = sqlite3.connect(f"file:{path}?vfs=litestream", uri=True, isolation_level=None)
    app.execute("PRAGMA cache_size=-8000")
    app.execute("PRAGMA synchronous=NORMAL")
    return app


def memory_mib(what):
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(what)) // 1024


def measured(what, work):
    """The result; prints how long it took and the peak of the resident memory, which is bounded."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")  # the peak begins anew
    before, began = memory_mib("VmRSS"), time.monotonic()
    result = work()
    more = memory_mib("VmHWM") - before
    print(f"{what}: {time.monotonic() - began:.1f} s, {more} MiB more memory at the peak", flush=True)
    if more > MEMORY_MIB:
        fail(f"{what}: more than {MEMORY_MIB} MiB")
    return result


def make_sparse(path, gib):
    """A valid database with a hole in it: all pages behind the first ones are free, and no trunk lists them but
    as leaves; what has never been written costs no disk."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(f"PRAGMA page_size={PAGE}")
    database.execute("CREATE TABLE t(a)")
    database.execute("INSERT INTO t VALUES('first')")
    database.close()
    first, last = os.path.getsize(path) // PAGE + 1, gib * GIB // PAGE
    leaves = PAGE // 4 - 8  # of one trunk page (https://sqlite.org/fileformat2.html#the_freelist)
    with open(path, "r+b") as file:
        file.truncate(gib * GIB)
        trunk = first
        while trunk <= last:
            count = min(leaves, last - trunk)
            following = trunk + count + 1
            numbers = [following if following <= last else 0, count, *range(trunk + 1, following)]
            file.seek((trunk - 1) * PAGE)
            file.write(b"".join(number.to_bytes(4, "big") for number in numbers))
            trunk = following
        for offset, number in ((28, last), (32, first), (36, last - first + 1)):
            file.seek(offset)
            file.write(number.to_bytes(4, "big"))


def sparse_database(loader, directory, gib):
    path, backup, restored = f"{directory}/app.db", f"file://{directory}/backup", f"{directory}/restored.db"
    make_sparse(path, gib)
    app = open_captured(path)
    expect("pages", one(app, "PRAGMA page_count"), gib * GIB // PAGE)
    one(app, "SELECT litestream_replicate(?)", backup)
    measured(f"snapshot of {gib} GiB", lambda: one(app, "SELECT litestream_sync(?)", WAIT_S))
    app.execute("INSERT INTO t VALUES('second')")
    position = one(app, "SELECT litestream_sync(?)", WAIT_S)
    expect("restored to", measured("restore", lambda: one(loader, "SELECT litestream_restore(?, ?)", backup, restored)),
           position)
    app.close()
    copy = sqlite3.connect(restored)
    expect("rows", one(copy, "SELECT group_concat(a) FROM t"), "first,second")
    expect("pages restored", one(copy, "PRAGMA page_count"), gib * GIB // PAGE)
    copy.close()


def large_commit(loader, directory, gib):
    path, backup, restored = f"{directory}/app.db", f"file://{directory}/backup", f"{directory}/restored.db"
    app = open_captured(path)
    one(app, "SELECT litestream_replicate(?)", backup)
    app.execute("CREATE TABLE t(a)")
    one(app, "SELECT litestream_sync()")
    app.execute("BEGIN")
    for _ in range(gib * 64):
        app.execute("INSERT INTO t VALUES(randomblob(?))", (GIB // 64,))
    measured(f"commit of {gib} GiB", lambda: app.execute("COMMIT"))
    position = measured("its replication", lambda: one(app, "SELECT litestream_sync(?)", WAIT_S))
    print("generation:", json.loads(one(app, "SELECT litestream_status()"))["generation_reason"], flush=True)
    expect("restored to", measured("its restore",
                                   lambda: one(loader, "SELECT litestream_restore(?, ?)", backup, restored)), position)
    app.close()
    compared = subprocess.run(["cmp", path, restored], capture_output=True, text=True, check=False)
    expect("the restored database", (compared.returncode, compared.stdout), (0, ""))


def store_is_down(loader, directory):
    """Its place is a file. Commits go on, memory stays, and once it is there everything is caught up."""
    path, backup = f"{directory}/app.db", f"{directory}/store/backup"
    os.mkdir(f"{directory}/store")
    app = open_captured(path)
    one(app, "SELECT litestream_replicate(?, '{\"sync_interval\":\"50ms\"}')", f"file://{backup}")
    app.execute("CREATE TABLE t(a)")
    one(app, "SELECT litestream_sync()")
    os.rename(f"{directory}/store", f"{directory}/away")
    with open(f"{directory}/store", "wb"):
        pass

    def write():
        for number in range(20_000):
            app.execute("INSERT INTO t VALUES(randomblob(5000))")
            if number % 5_000 == 4_999:
                app.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    measured("20,000 commits without a store", write)
    replica = json.loads(one(app, "SELECT litestream_status()"))["replicas"][0]
    print("state:", replica["state"], replica["last_error"], flush=True)
    expect("is an error", replica["last_error"] is not None, True)

    os.unlink(f"{directory}/store")
    os.rename(f"{directory}/away", f"{directory}/store")
    position = measured("catching up", lambda: one(app, "SELECT litestream_sync(?)", WAIT_S))
    expect("restored to", one(loader, "SELECT litestream_restore(?, ?)", f"file://{backup}", f"{directory}/restored.db"),
           position)
    restored = sqlite3.connect(f"{directory}/restored.db")
    expect("rows", one(restored, "SELECT count(*) FROM t"), 20_000)
    restored.close()
    app.close()


def main():
    if sys.argv[2:3] != ["--large"]:
        skip("by hand, with --large")
    gib, commit_gib = [int(text) for text in (sys.argv[3:] + ["20", "2"][len(sys.argv) - 3:])]
    loader = load()
    for part, *more in ((store_is_down,), (large_commit, commit_gib), (sparse_database, gib)):
        print(part.__name__.replace("_", " "), flush=True)
        with tempfile.TemporaryDirectory() as directory:
            part(loader, os.path.realpath(directory), *more)


main()
