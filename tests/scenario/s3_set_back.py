"""A machine that is set back to an earlier state, all its files at once, while its bucket on a real S3 server keeps
what came later. Its next commits make another history: it begins a generation of its own, nothing of the two
histories is mixed, and every position that was acknowledged, before and after, restores to its dump.

Usage: s3_set_back.py MODULE SERVERS
"""
import json
import os
import shutil

from s3_server import S3Shell, run_parts
from stock_shell import check_restore, expect, expect_in, fail

def put_back(saved, directory):
    """File by file, so that it stays the same file of the same machine."""
    for folder, _, names in os.walk(directory, topdown=False):
        for name in names:
            path = os.path.join(folder, name)
            source = os.path.join(saved, os.path.relpath(path, directory))
            if not os.path.exists(source):
                os.unlink(path)
                continue
            with open(source, "rb") as old, open(path, "r+b") as file:
                file.truncate(0)
                file.write(old.read())
    shutil.copytree(saved, directory, dirs_exist_ok=True, copy_function=copy_missing)


def copy_missing(source, target):
    return target if os.path.exists(target) else shutil.copy2(source, target)


class Machine:
    def __init__(self, server, folder, shells):
        self.server, self.folder, self.shells = server, folder, shells
        self.states = {}
        self.boot()
        self.shell.ask("PRAGMA journal_mode=WAL; CREATE TABLE t(n INTEGER PRIMARY KEY, note);")
        self.shell.replicate(server.url(), '{"sync_interval":0}')

    def boot(self):
        self.shell = S3Shell(f"{self.folder}/machine")
        self.shells.append(self.shell)

    def write(self, note, commits):
        for number in range(commits):
            self.shell.ask(f"INSERT INTO t(note) VALUES('{note} {number}');")

    def sync(self):
        position, dump = self.shell.sync(), self.shell.dump()
        if self.states.setdefault(position, dump) != dump:
            fail(f"two databases at {position}")

    def save_and_go_on(self):
        self.write("kept", 2)
        self.sync()
        self.shell.kill()
        shutil.copytree(f"{self.folder}/machine", f"{self.folder}/saved")
        self.boot()
        for _ in range(3):
            self.write("forgotten", 1)
            self.sync()
        self.shell.kill()
        put_back(f"{self.folder}/saved", f"{self.folder}/machine")

    def check(self):
        for position, dump in self.states.items():
            check_restore(self.shell, self.server.url(), self.folder, dump, json.dumps({"position": position}))
        check_restore(self.shell, self.server.url(), self.folder, self.shell.dump())
        expect("generations", len({position.split("/")[0] for position in self.states}), 2)
        expect_in("why", "set back", self.shell.status()["generation_reason"])


def noticed_at_once(*site):
    machine = Machine(*site)
    machine.save_and_go_on()
    machine.boot()
    expect("it is back then", machine.shell.one("SELECT count(*) FROM t;"), "2")
    for _ in range(6):
        machine.write("another history", 1)
        machine.sync()
    machine.check()


def noticed_when_it_has_come_further(server, folder, shells):
    """The bucket is out of reach until the second history is longer than the first."""
    machine = Machine(server, folder, shells)
    machine.save_and_go_on()
    server.kill()
    machine.boot()
    machine.write("another history", 6)
    server.start()
    machine.sync()
    machine.write("another history goes on", 1)
    machine.sync()
    machine.check()


run_parts([noticed_at_once, noticed_when_it_has_come_further])
