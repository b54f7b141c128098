"""A primary that replicates to a real S3 server under fire: connections are cut, slowed and stalled, the server is
killed or stopped and comes back, the primary is killed at any moment, also within a commit. Then all is calm:
nothing is lost, every position that litestream_sync acknowledged restores to the database of then, and a database
that follows the bucket equals the primary. The seed draws what happens when; the machine's speed plays along.

Usage: s3_soak.py MODULE SERVERS [--seconds N] [--seed N]
"""
import argparse
import collections
import json
import os
import random
import signal
import sqlite3
import sys
import time

import fault_proxy
from mixed_transactions import SCHEMA, transaction
from s3_server import S3Shell, s3_site
from stock_shell import dump_of, expect, fail, quoted, wait_until

FAULTS = ["straight", "straight", "straight", "slow", "cut", "stall"]  # nothing in HTTP notices a flipped bit
CHECKED = 25  # acknowledged positions that are restored, the newest among them
DOWN_S = 1.5  # at most, so that most of the time is use


def parse_options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    return parser.parse_args(sys.argv[3:])


class Soak:
    def __init__(self, site, options):
        self.server, self.folder, self.shells = site
        self.draw = random.Random(options.seed)
        self.options = options
        self.counts = collections.Counter()
        self.acknowledged = {}  # position: dump
        self.seen = {}
        self.reasons = {}  # of each generation
        self.is_paused = False
        self.up_at = None  # when the server comes back
        fault_proxy.BEHAVIOURS = FAULTS
        self.proxy = fault_proxy.FaultProxy(self.server.port, options.seed)
        self.url = self.server.url(port=self.proxy.port)
        self.proxy.is_calm = True
        self.open()
        self.shell.ask(SCHEMA)
        self.shell.sync()
        self.open_follower()
        self.follower.one(f"SELECT litestream_stream({quoted(self.url)}, '{{\"interval\":\"200ms\"}}');")
        self.proxy.is_calm = False

    def open(self):
        self.shell = S3Shell(f"{self.folder}/primary")
        self.shells.append(self.shell)
        self.shell.ask("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;")
        self.shell.ask(f"PRAGMA cache_size={self.draw.randint(5, 30)};")
        self.shell.ask(f"PRAGMA wal_autocheckpoint={self.draw.randint(2, 200)};")
        interval = self.draw.choice(["0s", "50ms", "1s"])
        self.shell.answer(f"SELECT litestream_replicate({quoted(self.url)}, '{{\"sync_interval\":\"{interval}\"}}');")
        self.note_generation()

    def note_generation(self):
        status = self.shell.status()
        if status["generation"]:
            self.reasons[status["generation"]] = status["generation_reason"]

    def open_follower(self):
        self.follower = S3Shell(f"{self.folder}/follower")
        self.shells.append(self.follower)

    # --- What the primary and the follower do ---

    def write(self):
        for _ in range(self.draw.randint(1, 6)):
            self.shell.ask(transaction(self.draw))
            self.counts["transactions"] += 1
            self.record(self.seen, self.shell.one("SELECT litestream_position();"))

    def record(self, where, position):
        dump = self.shell.dump()
        if where.setdefault(position, dump) != dump or self.seen.get(position, dump) != dump:
            fail(f"two databases at {position}")

    def sync(self):
        lines = self.shell.answer("SELECT litestream_sync('2s');")
        self.note_generation()
        if len(lines) == 1 and "rror" not in lines[0]:
            self.record(self.acknowledged, lines[0])
            self.counts["acknowledged"] += 1
        else:
            self.counts["late"] += 1

    def snapshot(self):
        self.shell.answer("PRAGMA wal_checkpoint(TRUNCATE);")
        if self.up_at is None:
            self.shell.answer("SELECT litestream_snapshot();")
            self.counts["snapshots"] += 1

    def kill_primary(self):
        """Also within what it was told last: whatever it then holds is what counts."""
        if self.draw.random() < 0.7:
            for _ in range(self.draw.randint(1, 3)):
                self.shell.send(transaction(self.draw))
        self.shell.kill()
        self.counts["primary killed"] += 1
        self.open()

    def close_primary(self):
        self.shell.quit()
        self.counts["primary closed"] += 1
        self.open()

    def kill_follower(self):
        self.follower.kill()
        self.counts["follower killed"] += 1
        self.open_follower()  # what it follows is remembered

    # --- What the way and the server do ---

    def cut(self):
        self.proxy.cut_all()
        self.counts["all connections cut"] += 1

    def refuse(self):
        self.proxy.is_down = True
        self.proxy.cut_all()
        self.counts["nobody there"] += 1
        self.up_at = time.monotonic() + self.draw.random() * DOWN_S

    def kill_server(self):
        self.server.kill()
        self.counts["server killed"] += 1
        self.up_at = time.monotonic() + self.draw.random() * DOWN_S

    def pause_server(self):
        self.server.process.send_signal(signal.SIGSTOP)
        self.is_paused = True
        self.counts["server paused"] += 1
        self.up_at = time.monotonic() + self.draw.random() * DOWN_S

    def bring_back(self):
        if self.is_paused:
            self.server.process.send_signal(signal.SIGCONT)
        if self.server.process.poll() is not None:
            self.server.start()
        self.is_paused = self.proxy.is_down = False
        self.up_at = None

    def harm(self):
        if self.up_at is not None and time.monotonic() > self.up_at:
            self.bring_back()
        if self.up_at is None and self.draw.random() < 0.15:
            self.draw.choice([self.cut, self.refuse, self.kill_server, self.pause_server])()

    def run(self):
        acts = [self.write] * 12 + [self.sync] * 6 + [self.snapshot] + [self.kill_primary] * 2
        acts += [self.close_primary, self.kill_follower]
        end = time.monotonic() + self.options.seconds
        while time.monotonic() < end:
            self.harm()
            self.draw.choice(acts)()

    # --- When all is calm ---

    def calm(self):
        if self.up_at is not None:
            self.bring_back()
        self.proxy.is_calm = True
        self.proxy.cut_all()
        position = wait_until("all is in the bucket", self.try_sync)
        self.record(self.acknowledged, position)
        return position

    def try_sync(self):
        lines = self.shell.answer("SELECT litestream_sync('5s');")
        return lines[0] if len(lines) == 1 and "rror" not in lines[0] else None

    def check_restore(self, options, dump):
        path = f"{self.folder}/restored.db"
        self.shell.restore(self.url, path, json.dumps(options))
        restored = dump_of(path)
        with sqlite3.connect(path) as database:
            expect("integrity", database.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        database.close()
        os.unlink(path)
        if restored != dump:
            fail(f"restored with {options}: {len(restored)} lines instead of {len(dump)}, or others")
        self.counts["restores"] += 1

    def check(self):
        last = self.calm()
        self.check_restore({}, self.shell.dump())
        positions = list(self.acknowledged)
        chosen = set(self.draw.sample(positions, min(CHECKED, len(positions)))) | {last}
        for position in positions:
            if position in chosen:
                self.check_restore({"position": position}, self.acknowledged[position])
        wait_until("the follower has all", lambda: self.follower.ask(f"SELECT litestream_wait('{last}', '2s');") == ["1"])
        expect("what follows the bucket", self.follower.dump() == self.shell.dump(), True)
        report = json.loads("\n".join(self.shell.answer(f"SELECT litestream_validate({quoted(self.url)});")))
        expect("validate", (report["ok"], report["compared"]), (True, True))
        generations = self.shell.ask(f"SELECT generation FROM litestream_generations({quoted(self.url)});")
        self.counts["generations"] = len(generations)


def main():
    options = parse_options()
    print(f"seed {options.seed}, {options.seconds:.0f} s", flush=True)
    with s3_site() as site:
        soak = Soak(site, options)
        soak.run()
        soak.check()
    for behaviour, count in soak.proxy.counts.items():
        soak.counts[f"connections {behaviour}"] = count
    print(", ".join(f"{name} {count}" for name, count in sorted(soak.counts.items())))
    for generation, reason in soak.reasons.items():
        print(f"generation {generation}: {reason}")


main()
