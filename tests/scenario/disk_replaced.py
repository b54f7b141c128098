"""The meta directory and the replica's directory are removed, or replaced by a file or a symbolic link, in use.

Every INSERT succeeds; what stands in the way is named and never written into; where the directory comes back
everything goes on in the same generation, where it is lost a new one begins and says why.

Usage: disk_replaced.py MODULE
"""
import os
import shutil
import sys
import tempfile

from stock_shell import Shell, check_restore, expect, wait_until

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
LOST = "the meta directory was removed or replaced"


class Case:
    """A fresh database with a replica, in a directory of its own."""

    def __init__(self, base, scratch, name):
        self.directory = os.path.join(base, name)
        os.mkdir(self.directory)
        self.scratch = scratch
        self.meta = os.path.join(self.directory, "app.db-litestream")
        self.replica = os.path.join(self.directory, "replica")
        self.elsewhere = os.path.join(self.directory, "elsewhere")
        os.mkdir(self.elsewhere)
        self.url = f"file://{self.replica}"
        self.shell = Shell(self.directory, MODULE)
        self.shell.ask(f"SELECT litestream_replicate('{self.url}', '{{\"sync_interval\":0}}');")
        self.shell.ask("CREATE TABLE t(n INTEGER PRIMARY KEY, b);")
        self.generation = self.shell.generation()
        self.insert()
        self.shell.sync()

    def insert(self):
        for _ in range(10):
            self.shell.ask("INSERT INTO t(b) VALUES(randomblob(3000));")

    def wait_for_complaint(self, path):
        def complaint():
            status = self.shell.status()
            said = [status["why"] or "", *(replica["last_error"] or "" for replica in status["replicas"])]
            return any(path in text for text in said)
        self.shell.answer("SELECT litestream_sync(0.3);")
        wait_until(f"{path} is named", complaint)

    def check(self, reason=None):
        """All caught up: in the same generation, or in a new one for `reason`; also for the next process."""
        now = self.shell.generation()
        expect("the same generation", now == self.generation, reason is None)
        if reason:
            expect("reason", self.shell.status()["generation_reason"], reason)
        check_restore(self.shell, self.url, self.scratch, self.shell.dump())
        expect("elsewhere", os.listdir(self.elsewhere), [])
        self.shell.quit()
        self.shell = Shell(self.directory, MODULE)
        self.insert()
        expect("generation of the next process", self.shell.generation(), now)
        expect("replicas of the next process", [r["url"] for r in self.shell.status()["replicas"]], [self.url])
        check_restore(self.shell, self.url, self.scratch, self.shell.dump())
        self.shell.quit()


def meta_removed(case):
    shutil.rmtree(case.meta)
    case.insert()
    case.check(LOST)


def meta_moved_and_back(case):
    for stand_in in ("file", "link"):
        os.rename(case.meta, case.meta + ".away")
        if stand_in == "file":
            with open(case.meta, "w", encoding="utf-8") as file:
                file.write("not a directory")
        else:
            os.symlink(case.elsewhere, case.meta)
        case.insert()
        case.wait_for_complaint(case.meta)
        os.unlink(case.meta)
        os.rename(case.meta + ".away", case.meta)
        case.insert()
        expect(f"generation after a {stand_in} in its place", case.shell.generation(), case.generation)
    case.check()


def meta_replaced_by_another(case):
    os.rename(case.meta, case.meta + ".away")
    os.mkdir(case.meta)
    case.insert()
    case.check(LOST)


def folder_inside_is_a_link(case):
    """A link in place of a folder inside is not followed, neither in use nor when the database is opened."""
    inside = os.path.join(case.meta, "generations")
    os.rename(inside, inside + ".away")
    os.symlink(case.elsewhere, inside)
    case.shell.ask("PRAGMA wal_checkpoint(TRUNCATE);")
    case.insert()
    case.wait_for_complaint(inside)
    case.shell.kill()
    case.shell = Shell(case.directory, MODULE)
    case.insert()
    case.wait_for_complaint(inside)
    os.unlink(inside)
    os.rename(inside + ".away", inside)
    case.check()


def replica_removed(case):
    shutil.rmtree(case.replica)
    case.insert()
    case.check(case.shell.status()["generation_reason"] if case.shell.generation() != case.generation else None)


def replica_replaced_by_file(case):
    os.rename(case.replica, case.replica + ".away")
    with open(case.replica, "w", encoding="utf-8") as file:
        file.write("not a directory")
    case.insert()
    case.wait_for_complaint(case.replica)
    os.unlink(case.replica)
    os.rename(case.replica + ".away", case.replica)
    case.check()


CASES = [meta_removed, meta_moved_and_back, meta_replaced_by_another, folder_inside_is_a_link, replica_removed,
         replica_replaced_by_file]


def main():
    with tempfile.TemporaryDirectory() as base, tempfile.TemporaryDirectory() as scratch:
        for case in CASES:
            print(case.__name__.replace("_", " "), flush=True)
            case(Case(base, scratch, case.__name__))
    print(f"{len(CASES)} cases: every INSERT succeeded, all named, nothing written elsewhere, all caught up")


main()
