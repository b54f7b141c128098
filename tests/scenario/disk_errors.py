"""Every kind of change to a file fails for a while, in the meta directory and in the replica.

A small library, preloaded into a stock shell, makes them fail with a given error. Meanwhile every INSERT succeeds
and status names the path and the error; afterwards everything is caught up in the same generation.

Usage: disk_errors.py MODULE INJECTOR
"""
import errno
import os
import sys
import tempfile

from stock_shell import Shell, check_restore, expect, wait_until

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
INJECTOR = os.path.abspath(sys.argv[2])
OPERATIONS = ["create", "write", "sync", "rename", "mkdir", "create,write,sync,rename,mkdir"]
ERRORS = [errno.EIO, errno.ENOSPC, errno.EROFS]
ROWS = 20


class Faults:
    def __init__(self, path):
        self.path = path

    def set(self, error_number, operations, prefix):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            file.write(f"{error_number} {operations} {prefix}\n")
        os.rename(self.path + ".new", self.path)

    def clear(self):
        os.unlink(self.path)


def complaint(shell, prefix, error_number):
    """What status says about the fault, once it names path and error."""
    status = shell.status()
    said = [status["why"] or "", *(replica["last_error"] or "" for replica in status["replicas"])]
    return [text for text in said if prefix in text and os.strerror(error_number) in text]


def insert_rows(shell):
    for _ in range(ROWS):
        shell.ask("INSERT INTO t(b) VALUES(randomblob(2000));")


def fail_and_mend(shell, faults, prefix, operations, error_number):
    faults.set(error_number, operations, prefix)
    insert_rows(shell)
    if operations == "mkdir":  # directories are made where an index begins
        shell.ask("PRAGMA wal_checkpoint(TRUNCATE);")
        insert_rows(shell)
    wait_until(f"{operations} {os.strerror(error_number)} in {prefix} is reported",
               lambda: complaint(shell, prefix, error_number))
    insert_rows(shell)
    faults.clear()


def main():
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryDirectory() as scratch:
        faults = Faults(os.path.join(scratch, "faults"))
        shell = Shell(directory, MODULE, environment={"LD_PRELOAD": INJECTOR, "LITESTREAM_FAULTS": faults.path})
        url = f"file://{directory}/replica"
        shell.ask(f"SELECT litestream_replicate('{url}', '{{\"sync_interval\":0}}');")
        shell.ask("CREATE TABLE t(n INTEGER PRIMARY KEY, b);")
        generation = shell.generation()
        count = 0
        for prefix in (f"{directory}/app.db-litestream/", f"{directory}/replica/"):
            for number, operations in enumerate(OPERATIONS):
                fail_and_mend(shell, faults, prefix, operations, ERRORS[number % len(ERRORS)])
                expect(f"generation after {operations} in {prefix}", shell.generation(), generation)
                expect("why", shell.status()["why"], None)
                check_restore(shell, url, scratch, shell.dump())
                count += 1
        shell.quit()
    print(f"{count} faults: every INSERT succeeded, all reported, all caught up in one generation")


main()
