"""Small disks for the meta directory and the replica: full, read-only, hidden by another mount.

Runs in a mount namespace of its own. Every INSERT succeeds meanwhile and status names path and error;
afterwards everything is caught up in the same generation, and the replica restores to the database.

Usage: disk_full.py MODULE
"""
import os
import subprocess
import sys
import tempfile

from stock_shell import Shell, check_restore, expect, skip, wait_until

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
DISK = 64 << 20
ROOM = 1 << 20  # left beside the ballast
MARK = "LITESTREAM_IN_NAMESPACE"


def enter_namespace():
    """Starts over inside, where mounts are nobody else's."""
    if os.environ.get(MARK):
        return
    trouble = ""
    for namespace in (["unshare", "-m"], ["unshare", "-r", "-m"]):  # as root, or as root of a user namespace
        try:
            done = subprocess.run([*namespace, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True,
                                  check=False)
        except FileNotFoundError:
            skip("there is no unshare here")
        if done.returncode == 0:
            os.environ[MARK] = "1"
            os.execvp("unshare", [*namespace, sys.executable, *sys.argv])
        trouble = done.stderr.strip()
    skip(f"small disks cannot be mounted here: {trouble}")


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def unmount(path):
    subprocess.run(["umount", "-l", path], capture_output=True, check=False)


def mount_disk(path):
    os.makedirs(path, exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={DISK},mode=0755", "none", path)


def mount_small(path):
    mount_disk(path)
    with open(f"{path}/ballast", "wb") as file:
        file.write(bytes(DISK - ROOM))


def make_room(path):
    os.unlink(f"{path}/ballast")


class Case:
    def __init__(self, base, scratch, name):
        self.directory = os.path.join(base, name)
        os.mkdir(self.directory)
        self.scratch = scratch
        self.meta = os.path.join(self.directory, "app.db-litestream")
        self.replica = os.path.join(self.directory, "replica")
        self.url = f"file://{self.replica}"
        self.shell = None
        self.generation = None

    def start(self):
        self.shell = Shell(self.directory, MODULE)
        self.shell.ask(f"SELECT litestream_replicate('{self.url}', '{{\"sync_interval\":0}}');")
        self.shell.ask("CREATE TABLE t(n INTEGER PRIMARY KEY, b);")
        self.generation = self.shell.generation()

    def insert(self, count):
        for _ in range(count):
            self.shell.ask("INSERT INTO t(b) VALUES(randomblob(100000));")

    def wait_for_complaint(self, path, what):
        def complaint():
            status = self.shell.status()
            said = [status["why"] or "", *(replica["last_error"] or "" for replica in status["replicas"])]
            return any(path in text and what in text for text in said)
        wait_until(f"'{what}' in {path} is reported", complaint)

    def check(self):
        expect("generation", self.shell.generation(), self.generation)
        expect("why", self.shell.status()["why"], None)
        check_restore(self.shell, self.url, self.scratch, self.shell.dump())
        self.shell.quit()


def meta_full(case):
    mount_small(case.meta)
    case.start()
    case.insert(20)
    case.wait_for_complaint(case.meta, os.strerror(28))
    case.shell.ask("PRAGMA wal_checkpoint(PASSIVE);")
    case.insert(20)
    make_room(case.meta)
    case.check()


def meta_full_and_killed(case):
    """The next process finds a full disk, too, and goes on as soon as there is room."""
    mount_small(case.meta)
    case.start()
    case.insert(20)
    case.wait_for_complaint(case.meta, os.strerror(28))
    case.shell.kill()
    case.shell = Shell(case.directory, MODULE)
    case.insert(5)
    case.wait_for_complaint(case.meta, os.strerror(28))
    make_room(case.meta)
    case.check()


def replica_full(case):
    mount_small(case.replica)
    case.start()
    case.insert(20)
    case.wait_for_complaint(case.replica, os.strerror(28))
    case.insert(20)
    make_room(case.replica)
    case.check()


def replica_read_only(case):
    mount_disk(case.replica)
    case.start()
    mount("-o", "remount,bind,ro", case.replica)
    case.insert(2)
    case.wait_for_complaint(case.replica, os.strerror(30))
    mount("-o", "remount,bind,rw", case.replica)
    case.insert(2)
    case.check()


def replica_unmounted(case):
    """What is written below the mount point meanwhile is of no use; the disk itself has to be caught up."""
    mount_disk(case.replica)
    case.start()
    case.insert(5)
    case.shell.sync()
    unmount(case.replica)
    mount_disk(case.replica)
    case.insert(5)
    case.check()


def meta_hidden_read_only(case):
    os.mkdir(case.meta)
    case.start()
    mount("-t", "tmpfs", "-o", "ro,mode=0755", "none", case.meta)
    case.insert(3)
    case.wait_for_complaint(case.meta, os.strerror(30))
    unmount(case.meta)
    case.insert(3)
    case.check()


CASES = [meta_full, meta_full_and_killed, replica_full, replica_read_only, replica_unmounted, meta_hidden_read_only]


def main():
    enter_namespace()
    with tempfile.TemporaryDirectory() as base, tempfile.TemporaryDirectory() as scratch:
        try:
            for case in CASES:
                print(case.__name__.replace("_", " "), flush=True)
                case(Case(base, scratch, case.__name__))
        finally:  # a mount in the way would keep the directory below it
            for name in os.listdir(base):
                unmount(os.path.join(base, name, "app.db-litestream"))
                unmount(os.path.join(base, name, "replica"))
    print(f"{len(CASES)} cases: every INSERT succeeded, all reported, all caught up in one generation")


main()
