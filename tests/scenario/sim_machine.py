"""What the simulator works with: machines that run one worker each on a disk that can lose power, and the oracle,
which knows every state that was ever asked for.
"""
import hashlib
import os
import re
import select
import sqlite3
import subprocess
import time
import zlib

from power_loss import Disk
from stock_shell import fail

DEADLINE_S = 100
DIED = 137
GENERATION = re.compile(r"new generation ([0-9a-f]{16}): (.*)")


class Died(Exception):
    """The process of this machine's worker ended as it was asked to."""


class Machine:
    def __init__(self, scratch, name, worker):
        self.name = name
        self.root = os.path.join(scratch, name)
        self.path = os.path.join(self.root, "db", "app.db")
        self.url = f"file://{self.root}/replica/app"
        for folder in ("db", "replica"):
            os.makedirs(os.path.join(self.root, folder))
        self.disk = Disk(self.root, self.root + ".journal")
        self.worker, self.log, self.log_read = worker, self.root + ".log", 0
        self.process = None
        self.is_open = False  # connection `a`
        self.clock_ms = 0  # ahead of the true time
        self.boots = 0
        self.write_boot_id()

    def write_boot_id(self):
        self.boots += 1
        with open(self.root + ".boot", "w", encoding="utf-8") as file:
            file.write(f"boot-{self.boots}\n")

    # --- The process ---

    def start(self):
        self.buffer = b""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.worker, self.root, self.disk.journal, self.root + ".boot"], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, env={**os.environ, "LSAN_OPTIONS": "detect_leaks=0"})

    def try_ask(self, line):
        """(rows, error or None)"""
        rows = []
        self.log_line(line)
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self.bury()
        while True:
            answer = self.read_line()
            if answer.startswith("|"):
                rows.append(answer[1:])
            elif answer == "ok":
                return rows, None
            else:
                self.log_line(answer)
                return rows, answer.removeprefix("error ")

    def ask(self, line):
        rows, error = self.try_ask(line)
        if error:
            fail(f"{self.name}: {line[:300]}: {error}")
        return rows

    def read_line(self):
        end = time.monotonic() + DEADLINE_S
        while b"\n" not in self.buffer:
            readable, _, _ = select.select([self.process.stdout], [], [], max(end - time.monotonic(), 0))
            if not readable:
                fail(f"{self.name}: no answer within {DEADLINE_S} s")
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                self.bury()
            self.buffer += more
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode(errors="replace")

    def bury(self):
        code = self.end()
        if code != DIED:
            fail(f"{self.name}: the worker ended with {code}:\n{self.last_words()}")
        raise Died(self)

    def end(self):
        """The exit code; closes everything as a program that ends does."""
        process, self.process, self.is_open = self.process, None, False
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass
        process.stdout.close()
        try:
            return process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            fail(f"{self.name}: does not end within {DEADLINE_S} s")

    def set_clock(self):
        self.ask(f"disk clock {self.clock_ms}")

    def kill(self):
        try:
            self.try_ask("die")
        except Died:
            pass

    def destroy(self):
        if self.process:
            self.process.kill()
            self.end()

    def lose_power(self, draw, kept_folder):
        if self.process:
            self.kill()
        self.log_line(f"power is lost; kept: {kept_folder}")
        self.disk.lose_power(draw, kept_folder)
        self.write_boot_id()

    # --- What it said ---

    def log_line(self, line):
        with open(self.log, "a", encoding="utf-8") as log:
            log.write(f"> {line}\n")

    def last_words(self):
        with open(self.log, errors="replace", encoding="utf-8") as log:
            lines = [line[:300].rstrip() for line in log if "litestream_restore" not in line]
        return "\n".join([f"-- {self.name}", *lines[-40:]])

    def new_generations(self):
        """[(generation, reason)] since this was asked last"""
        with open(self.log, errors="replace", encoding="utf-8") as log:
            log.seek(self.log_read)
            text = log.read()
            self.log_read = log.tell()
        return GENERATION.findall(text)


# --- The oracle ---

OBJECTS = "SELECT quote(type) || quote(name) || quote(sql) FROM sqlite_master ORDER BY 1"
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY 1"


def content_of(rows):
    """A digest of the whole content; `rows`: runs a query, gives its first column."""
    seen = hashlib.sha256()
    for text in rows(OBJECTS):
        seen.update(text.encode() + b"\n")
    for table in rows(TABLES):
        columns = {"step": "n", "t": "id || quote(a) || quote(b)"}.get(table, "quote(x)")
        for text in rows(f"SELECT {columns} FROM {table} ORDER BY rowid"):
            seen.update(str(text).encode() + b"\n")
    return seen.hexdigest()


def content_of_file(path):
    connection = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
    try:
        problem = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if problem != "ok":
            fail(f"{path}: {problem}")
        number = connection.execute("SELECT n FROM step").fetchone()[0]
        return number, content_of(lambda sql: [row[0] for row in connection.execute(sql)])
    finally:
        connection.close()


class Oracle:
    """States by number: each transaction that was tried made one, on top of another."""

    def __init__(self, schema):
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.executescript(schema)
        self.parents, self.contents, self.images = {}, {}, {}
        self.base = None
        self.last = 0
        self.keep(0, None)

    def keep(self, number, parent):
        self.base = number
        self.parents[number] = parent
        self.contents[number] = content_of(lambda sql: [row[0] for row in self.connection.execute(sql)])
        self.images[number] = zlib.compress(self.connection.serialize(), 1)

    def attempt(self, parent, statements):
        """The number of the state that `statements` make of `parent`, and the transaction to run."""
        if self.base != parent:
            # Anew: prepared statements would take another schema of the same number for the one they know.
            self.connection.close()
            self.connection = sqlite3.connect(":memory:", isolation_level=None)
            self.connection.deserialize(zlib.decompress(self.images[parent]))
        self.last += 1
        transaction = f"BEGIN; {statements} UPDATE step SET n = {self.last}; COMMIT;"
        self.connection.executescript(transaction)
        self.keep(self.last, parent)
        return self.last, transaction

    def line(self, newest, oldest):
        """The states from `newest` back to `oldest`."""
        found = [newest]
        while found[-1] != oldest and self.parents[found[-1]] is not None:
            found.append(self.parents[found[-1]])
        return found
