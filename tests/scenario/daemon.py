"""A shell as a daemon: it only has the database open and sits in litestream_run(), while a stock shell that
never loaded the module writes, resets the WAL now and then, and leaves. What was written reaches the replica
by itself.

Usage: daemon.py MODULE
"""
import os
import subprocess
import sys
import tempfile

from stock_shell import Shell, expect, fail, quoted, wait_until

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
ROUNDS = 5


def restored(directory, url, number):
    """The dump of what the replica restores to now; None where nothing can be restored yet."""
    path = os.path.join(directory, f"restored{number}.db")
    done = subprocess.run(["sqlite3", "-batch", "-init", "/dev/null"], cwd=directory, capture_output=True, text=True,
                          input=f".load '{MODULE}'\nSELECT litestream_restore({quoted(url)}, {quoted(path)});\n",
                          timeout=60, check=False)
    if done.stderr:
        return None
    dump = subprocess.run(["sqlite3", path, ".dump"], capture_output=True, text=True, check=True).stdout
    os.unlink(path)
    return dump.splitlines()


def main():
    with tempfile.TemporaryDirectory() as directory:
        url = f"file://{directory}/replica"
        first = Shell(directory, MODULE)
        first.ask(f"SELECT litestream_replicate({quoted(url)}, '{{\"sync_interval\":\"50ms\"}}');")
        first.ask("CREATE TABLE t(a);")
        first.quit()

        daemon = Shell(directory, MODULE)
        daemon.send("SELECT litestream_run();")
        for number in range(ROUNDS):
            writer = Shell(directory, uri="app.db")
            for row in range(3):
                writer.ask(f"INSERT INTO t VALUES({number * 3 + row});")
            writer.ask("PRAGMA wal_checkpoint;")
            expected = writer.dump()
            if number % 2:
                writer.quit()
            wait_until(f"round {number} is in the replica", lambda: restored(directory, url, number) == expected)
            if not number % 2:
                writer.quit()
        if daemon.process.poll() is not None:
            fail("the daemon ended by itself")
        daemon.kill()
        last = Shell(directory, MODULE)
        expect("rows", last.one("SELECT count(*) FROM t;"), str(3 * ROUNDS))
        last.quit()
        print(f"daemon: {ROUNDS} rounds of a stock writer reached the replica by themselves")


main()
