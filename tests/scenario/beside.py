"""A stock shell without the module works on the same database, beside the shell that captures it.

It writes, checkpoints in every mode, runs VACUUM, and closes the database last. What it commits while the other
one is open is captured, whatever it does then; only where it closes last, while nobody looks, a new generation may
begin, with a reason. After each round position and dump are recorded; in the end every
recorded position restores to its dump.

Usage: beside.py MODULE [SEED [ROUNDS]]
"""
import os
import random
import sys
import tempfile

from stock_shell import Shell, check_restore, expect, fail

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 20
# What a round does, and whether a new generation is allowed to come of it.
ACTIONS = {"write": False, "write both": False, "vacuum": False, "passive": False, "restart": False, "truncate": False,
           "close last": True}


NO_CHECKPOINTS = "PRAGMA wal_autocheckpoint=0;"  # but for those that a round asks for


def open_ours(directory):
    shell = Shell(directory, MODULE)
    shell.ask(f".once /dev/null\n{NO_CHECKPOINTS}")
    return shell


def open_stranger(directory):
    shell = Shell(directory, uri="app.db")
    shell.ask(f".once /dev/null\n{NO_CHECKPOINTS}")
    return shell


class Round:
    def __init__(self, draw, directory, ours, stranger):
        self.draw, self.directory, self.ours, self.stranger = draw, directory, ours, stranger

    def write(self, shell):
        for _ in range(self.draw.randint(1, 15)):
            if self.draw.random() < 0.3:
                shell.ask(f"UPDATE t SET b=randomblob({self.draw.randint(1, 800)}) WHERE n%{self.draw.randint(2, 7)}=1;")
            else:
                shell.ask(f"INSERT INTO t(b) VALUES(randomblob({self.draw.randint(1, 9000)}));")
        shell.ask("DELETE FROM t WHERE n < (SELECT max(n) FROM t) - 150;")

    def run(self, action):
        self.write(self.stranger)
        if action == "write both":
            for _ in range(3):
                self.write(self.ours)
                self.write(self.stranger)
        elif action == "vacuum":
            self.stranger.ask("VACUUM;")
        elif action in ("passive", "restart", "truncate"):
            self.stranger.ask(f"PRAGMA wal_checkpoint({action});")
            self.write(self.stranger)
        elif action == "close last":
            self.ours.quit()
            self.write(self.stranger)
            self.stranger.quit()
            self.ours = open_ours(self.directory)
            self.stranger = open_stranger(self.directory)


def main():
    draw = random.Random(SEED)
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryDirectory() as scratch:
        url = f"file://{directory}/replica"
        ours = open_ours(directory)
        ours.ask(f"SELECT litestream_replicate('{url}', '{{\"sync_interval\":0}}');")
        ours.ask("CREATE TABLE t(n INTEGER PRIMARY KEY, b);")
        generations = [ours.generation()]
        work = Round(draw, directory, ours, open_stranger(directory))
        dumps = {}
        actions = list(ACTIONS)
        for number in range(ROUNDS):
            action = actions[number] if number < len(actions) else draw.choice(actions)
            work.run(action)
            position = work.ours.sync()
            if position.split("/")[0] != generations[-1]:
                generations.append(position.split("/")[0])
                reason = work.ours.status()["generation_reason"]
                if not ACTIONS[action] or not reason:
                    fail(f"seed {SEED}, round {number}, {action}: a new generation: {reason}")
            dump = work.ours.dump()
            if dumps.setdefault(position, dump) != dump:
                fail(f"seed {SEED}, round {number}: two databases at {position}")
        check_restore(work.ours, url, scratch, work.ours.dump())
        for position, dump in dumps.items():
            check_restore(work.ours, url, scratch, dump, f'{{"position":"{position}"}}')
        expect("integrity", work.ours.one("PRAGMA integrity_check;"), "ok")
        work.ours.quit()
        work.stranger.quit()
    print(f"seed {SEED}: {ROUNDS} rounds, {len(generations)} generations, {len(dumps)} positions restored equal")


main()
