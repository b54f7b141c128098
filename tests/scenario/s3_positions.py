"""A stock sqlite3 shell replicates to a real S3 server: mixed transactions, checkpoints, restarts and a second
generation. Every recorded position, and some moments, restore to the dump of then; the listings name what the
bucket holds; validate agrees; what retention removes is gone, and the rest still restores.

Usage: s3_positions.py MODULE SERVERS [SEED [TRANSACTIONS]]
"""
import json
import os
import random
import subprocess
import sys
import time

from mixed_transactions import SCHEMA, transaction
from s3_server import S3Shell, s3_site
from stock_shell import dump_of, expect, expect_in, fail, quoted, wait_until

SEED = int(sys.argv[3]) if len(sys.argv) > 3 else 1
TRANSACTIONS = int(sys.argv[4]) if len(sys.argv) > 4 else 150
SNAPSHOT_EVERY = 40
MOMENT_EVERY = 30
REOPEN_EVERY = 35


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"


class History:
    """What the database was, by position and by time."""

    def __init__(self):
        self.dumps = {}
        self.moments = []

    def record(self, shell):
        position, dump = shell.one("SELECT litestream_position();"), shell.dump()
        if self.dumps.setdefault(position, dump) != dump:
            fail(f"two databases at {position}")

    def record_moment(self, shell):
        """A time that lies between two commits, by the clock that stamps them."""
        now = time.time()
        wait_until("the clock goes on", lambda: time.time() > now + 0.01)
        self.moments.append((stamp(time.time()), shell.dump()))
        now = time.time()
        wait_until("the clock goes on", lambda: time.time() > now + 0.01)

    def generations(self):
        return {position.split("/")[0] for position in self.dumps}


def open_primary(draw, site, url):
    _, folder, shells = site
    shell = S3Shell(f"{folder}/primary")
    shells.append(shell)
    for sql in (f"PRAGMA cache_size={draw.randint(5, 30)}", f"PRAGMA synchronous={draw.randrange(3)}",
                f"PRAGMA wal_autocheckpoint={draw.randint(2, 60)}"):
        shell.ask(sql + ";")
    shell.replicate(url)
    return shell


def write(draw, site, url, history, transactions):
    """With restarts of the program: an end in good order and kill -9 by turns."""
    shell = open_primary(draw, site, url)
    shell.sync()  # no position before the first snapshot of a generation restores
    for number in range(1, transactions + 1):
        shell.ask(transaction(draw))
        history.record(shell)
        if number % SNAPSHOT_EVERY == 0:
            shell.one("SELECT litestream_snapshot();")
        if number % MOMENT_EVERY == 0:
            history.record_moment(shell)
        if number % REOPEN_EVERY == 0:
            shell.kill() if number % 2 else shell.quit()
            shell = open_primary(draw, site, url)
    shell.sync()
    history.record(shell)
    return shell


def restored(shell, folder, url, options):
    path = f"{folder}/restored.db"
    position = shell.restore(url, path, json.dumps(options))
    dump = dump_of(path)
    os.unlink(path)
    return position, dump


def check_history(shell, folder, url, history):
    for position, dump in history.dumps.items():
        expect(f"the database at {position}", restored(shell, folder, url, {"position": position}), (position, dump))
    for moment, dump in history.moments:
        expect(f"the database at {moment}", restored(shell, folder, url, {"timestamp": moment})[1], dump)


def check_listings(shell, server, url, generations):
    listed = shell.ask(f"SELECT generation FROM litestream_generations({quoted(url)}) ORDER BY started_at;")
    expect("the generations", listed, generations)
    lines = shell.ask(f"SELECT printf('generations/%s/snapshots/%016x.snapshot.lz4 %d', generation, idx, size_bytes) "
                      f"FROM litestream_snapshots({quoted(url)});")
    lines += shell.ask(f"SELECT printf('generations/%s/wal/%016x/%016x.wal.lz4 %d', generation, idx, offset, "
                       f"size_bytes) FROM litestream_wal({quoted(url)});")
    files = [name for name in server.names() if name.startswith("generations/")]
    sizes = [f"{name} {os.path.getsize(os.path.join(server.bucket, 'app', name))}" for name in files]
    expect("snapshots and segments", sorted(lines), sorted(sizes))


def check_validate(shell, url):
    report = json.loads("\n".join(shell.answer(f"SELECT litestream_validate({quoted(url)});")))
    expect("validate", (report["ok"], report["compared"]), (True, True))


def change_behind_its_back(folder):
    """The last to close without the module deletes the WAL: no proof of continuity."""
    subprocess.run(["sqlite3", f"{folder}/primary/app.db", "INSERT INTO t(a) VALUES('stranger');"], check=True)


def check_retention(shell, server, folder, url, history):
    """A second keeps nothing but what the newest snapshot needs."""
    shell.one(f"SELECT litestream_unreplicate({quoted(url)});")
    shell.replicate(url, '{"retention":"1s"}')
    first = next(iter(history.dumps))
    newest = history.dumps.copy().popitem()[0]

    def thinned():
        shell.ask("INSERT INTO t(a) VALUES('later'); PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO t(a) VALUES('last');")
        shell.sync()
        shell.one("SELECT litestream_snapshot();")
        return not any(first.split("/")[0] in name for name in server.names())

    wait_until("the old generation is gone", thinned)
    expect_in("a generation that is gone", first.split("/")[0],
              shell.refusal(f"SELECT litestream_restore({quoted(url)}, '{folder}/no.db', '{{\"position\":\"{first}\"}}');"))
    expect("a refused restore leaves", os.path.exists(f"{folder}/no.db"), False)
    history.record(shell)
    expect("what is kept restores", restored(shell, folder, url, {})[1], shell.dump())
    return newest


def main():
    draw = random.Random(SEED)
    history = History()
    with s3_site() as site:
        server, folder, _ = site
        url = server.url()
        first = open_primary(draw, site, url)
        first.ask(SCHEMA)
        first.quit()
        shell = write(draw, site, url, history, TRANSACTIONS * 2 // 3)
        expect("generations without a cause", len(history.generations()), 1)
        shell.quit()
        change_behind_its_back(folder)
        shell = write(draw, site, url, history, TRANSACTIONS // 3)
        generations = list(dict.fromkeys(position.split("/")[0] for position in history.dumps))
        expect("generations", len(generations), 2)
        check_listings(shell, server, url, generations)
        check_validate(shell, url)
        check_history(shell, folder, url, history)
        check_retention(shell, server, folder, url, history)
    print(f"seed {SEED}: {TRANSACTIONS} transactions, {len(history.dumps)} positions and {len(history.moments)} "
          "moments, each restored to its dump")


main()
