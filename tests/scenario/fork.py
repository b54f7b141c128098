"""fork() in a Python host, by multiprocessing. Children of a process that has a database open pass through: they
read, write and say so. The parent loses nothing by them, whatever they do and however they end. Children of one
that has only loaded the module are as free as any process.

Usage: fork.py MODULE
"""
import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile

from stock_shell import DEADLINE_S, dump_of, expect, expect_in, skip

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
CHILDREN = 4
ROWS = 40
FORKS_UNDER_LOAD = 10
FORKED = "this process was forked"
CONTEXT = multiprocessing.get_context("fork")


def load():
    loader = sqlite3.connect(":memory:")
    loader.enable_load_extension(True)
    loader.load_extension(MODULE)


def connect(directory, name="app.db"):
    connection = sqlite3.connect(f"file:{directory}/{name}?vfs=litestream", uri=True, isolation_level=None,
                                 timeout=30)
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


def one(connection, sql, *values):
    return connection.execute(sql, values).fetchone()[0]


def refusal(connection, sql):
    try:
        connection.execute(sql).fetchone()
    except sqlite3.Error as error:
        return str(error)
    return f"was not refused: {sql}"


def insert(connection, who, count=ROWS):
    for _ in range(count):
        connection.execute("INSERT INTO t VALUES(?)", (who,))


class Child:
    """A forked process that runs `work` and hands back what that returns."""

    def __init__(self, work, *arguments):
        self.answer, answers = CONTEXT.Pipe(False)
        self.process = CONTEXT.Process(target=lambda: answers.send(work(*arguments)), daemon=True)
        self.process.start()
        answers.close()

    def result(self):
        """Once the child has ended, in good order."""
        is_heard = self.answer.poll(DEADLINE_S)
        if not is_heard:
            self.process.kill()
        self.process.join(DEADLINE_S)
        expect("a child answers, and ends with", (is_heard, self.process.exitcode), (True, 0))
        return self.answer.recv()


class Primary:
    """app.db: captured, replicated to backup/, served, and followed by replica.db of the same process."""

    def __init__(self, directory):
        self.directory = directory
        self.backup = f"file://{directory}/backup"
        self.app = connect(directory)
        one(self.app, "SELECT litestream_replicate(?, '{\"sync_interval\":\"50ms\"}')", self.backup)
        self.app.execute("CREATE TABLE t(who)")
        self.generation = one(self.app, "SELECT litestream_sync()").split("/")[0]
        self.url = one(self.app, "SELECT litestream_serve('127.0.0.1:0')")
        self.replica = connect(directory, "replica.db")
        one(self.replica, "SELECT litestream_stream(?)", f"{self.url}/app.db")

    def check(self, rows):
        """All the rows are there, in the database, the restored one and the live replica; all in one generation."""
        position = one(self.app, "SELECT litestream_sync()")
        expect("generation", position.split("/")[0], self.generation)
        path = f"{self.directory}/restored.db"
        expect("restored to", one(self.app, "SELECT litestream_restore(?, ?)", self.backup, path), position)
        expect("the replica follows", one(self.replica, "SELECT litestream_wait(?, 30)", position), 1)
        written, restored = dump_of(f"{self.directory}/app.db"), dump_of(path)
        os.unlink(path)
        expect("rows", sum(line.startswith("INSERT") for line in written), rows)
        expect("restored", restored, written)
        expect("followed", dump_of(f"{self.directory}/replica.db"), written)

    def close(self):
        self.replica.close()
        self.app.close()


def in_child(directory):
    """What a child finds, on a connection of its own."""
    own = connect(directory)
    status = json.loads(one(own, "SELECT litestream_status()"))
    insert(own, os.getpid())
    said = [status["why"], *(refusal(own, f"SELECT litestream_{call}") for call in (
        "sync()", "snapshot()", "serve('127.0.0.1:0')", "serve_stop()", "unreplicate('backup')",
        f"replicate('file://{directory}/other')", "stream('http://127.0.0.1:1/app.db')"))]
    restored = f"{directory}/restored.{os.getpid()}.db"
    one(own, "SELECT litestream_restore(?, ?)", f"file://{directory}/backup", restored)
    os.unlink(restored)
    own.close()
    return status["role"], said


def children_pass_through(directory):
    primary = Primary(directory)
    children = [Child(in_child, directory) for _ in range(CHILDREN)]
    insert(primary.app, "parent")
    for child in children:
        role, said = child.result()
        expect("role in a child", role, "none")
        for text in said:
            expect_in("what a child is told", FORKED, text)
    expect("what a refused replica leaves", os.path.exists(f"{directory}/other"), False)
    primary.check((CHILDREN + 1) * ROWS)
    primary.close()


def inherited_connections_pass_through(directory):
    """SQLite itself forbids to use them in a child; what is done all the same harms nobody here."""
    primary = Primary(directory)
    insert(primary.app, "parent")

    def use_and_close():
        status = json.loads(one(primary.app, "SELECT litestream_status()"))
        read_only = refusal(primary.replica, "INSERT INTO t VALUES('child')")
        count = one(primary.app, "SELECT count(*) FROM t")
        primary.close()
        return status["why"], read_only, count

    why, read_only, count = Child(use_and_close).result()
    expect_in("why", FORKED, why)
    expect_in("a write to the replica", "attempt to write a readonly database", read_only)
    expect("rows that a child reads", count, ROWS)
    insert(primary.app, "parent")
    primary.check(2 * ROWS)
    primary.close()


def killed_children(directory):
    """In the middle of a transaction, of which nothing is left."""
    primary = Primary(directory)

    def die_writing():
        own = connect(directory)
        insert(own, "child")
        own.execute("BEGIN IMMEDIATE")
        insert(own, "lost")
        os.kill(os.getpid(), signal.SIGKILL)

    for number in range(1, CHILDREN + 1):
        child = Child(die_writing)
        child.process.join(DEADLINE_S)
        expect("end of the child", child.process.exitcode, -signal.SIGKILL)
        insert(primary.app, "parent")
        primary.check(2 * ROWS * number)
    primary.close()


def forks_under_load(directory):
    """Capture, the replicator and the replica are at work at each fork. The host's own threads are not inside
    SQLite then: its mutexes would stay held in the child."""
    primary = Primary(directory)
    for number in range(1, FORKS_UNDER_LOAD + 1):
        insert(primary.app, "parent")
        role, _ = Child(in_child, directory).result()
        expect("role in a child", role, "none")
    primary.check(2 * ROWS * number)
    primary.close()


def nothing_is_left_to_programs(directory):
    """What is started with exec inherits no file of ours."""
    primary = Primary(directory)
    listed = subprocess.run(["ls", "-l", "/proc/self/fd"], close_fds=False, capture_output=True, text=True,
                            timeout=DEADLINE_S, check=True).stdout
    expect("files below the database's folder", [line for line in listed.splitlines() if directory in line], [])
    expect("sockets", "socket:" in listed, False)
    primary.close()


def replicas_stay_read_only(directory):
    primary = Primary(directory)
    insert(primary.app, "parent")

    def write():
        replica = connect(directory, "replica.db")
        return refusal(replica, "INSERT INTO t VALUES('child')"), one(replica, "SELECT count(*) >= 0 FROM t")

    said, is_readable = Child(write).result()
    expect("a write to the replica", said, "attempt to write a readonly database")
    expect("a read of the replica", is_readable, 1)
    primary.check(ROWS)
    primary.close()


def a_port_is_free_once_its_parent_left_it(directory):
    primary = Primary(directory)
    ends, end = CONTEXT.Pipe(False)
    lives_on = Child(ends.recv)
    expect("stop", one(primary.app, "SELECT litestream_serve_stop()"), 1)
    expect("serve again", one(primary.app, "SELECT litestream_serve(?)", primary.url.removeprefix("http://")),
           primary.url)
    insert(primary.app, "parent")
    primary.check(ROWS)
    end.send(None)
    lives_on.result()
    primary.close()


def prefork_server(directory):
    """The parent loads the module and opens nothing. Its workers share one database and have one each."""
    def worker(number, together):
        own, shared = connect(directory, f"{number}.db"), connect(directory)
        url = one(own, "SELECT litestream_serve('127.0.0.1:0')")
        one(own, "SELECT litestream_replicate(?)", f"file://{directory}/backup{number}")
        own.execute("CREATE TABLE t(who)")
        together.wait(DEADLINE_S)
        insert(own, number)
        insert(shared, number)
        said = refusal(shared, "SELECT litestream_sync()")
        together.wait(DEADLINE_S)  # until then nobody takes over
        position = one(own, "SELECT litestream_sync()")
        path = f"{directory}/restored{number}.db"
        expect("restored to", one(own, "SELECT litestream_restore(?, ?)", f"file://{directory}/backup{number}", path),
               position)
        expect("restored", dump_of(path), dump_of(f"{directory}/{number}.db"))
        return url, "another process captures" in said

    def set_up():
        app = connect(directory)
        one(app, "SELECT litestream_replicate(?)", f"file://{directory}/backup")
        app.execute("CREATE TABLE t(who)")
        return one(app, "SELECT litestream_sync()").split("/")[0]

    generation = Child(set_up).result()
    together = CONTEXT.Barrier(CHILDREN)
    workers = [Child(worker, number, together) for number in range(CHILDREN)]
    answers = [each.result() for each in workers]
    expect("ports", len({url for url, _ in answers}), CHILDREN)
    expect("workers that capture the shared one", [stands_by for _, stands_by in answers].count(False), 1)
    app = connect(directory)
    position = one(app, "SELECT litestream_sync()")
    expect("generation", position.split("/")[0], generation)
    path = f"{directory}/restored.db"
    expect("restored to", one(app, "SELECT litestream_restore(?, ?)", f"file://{directory}/backup", path), position)
    expect("restored", dump_of(path), dump_of(f"{directory}/app.db"))
    expect("rows", one(app, "SELECT count(*) FROM t"), CHILDREN * ROWS)
    app.close()


PARTS = [prefork_server, a_port_is_free_once_its_parent_left_it, replicas_stay_read_only, children_pass_through, inherited_connections_pass_through, killed_children, forks_under_load,
         nothing_is_left_to_programs]


def main():
    if not hasattr(sqlite3.Connection, "enable_load_extension"):
        skip("this Python's sqlite3 cannot load extensions")
    for part in PARTS:
        print(part.__name__.replace("_", " "), flush=True)
        with tempfile.TemporaryDirectory() as directory:
            # Each part begins in a process that has never used the module.
            process = CONTEXT.Process(target=lambda: (load(), part(os.path.realpath(directory))))
            process.start()
            process.join()
            expect("exit status", process.exitcode, 0)


main()
