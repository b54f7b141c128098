"""What the kills share: a primary with a replica, and perhaps a live one, whose shells may die at any call,
and the checks of what they leave. See kill_points.py.

Every transaction adds the row with the next number to t and puts that number into step, so that what a state
holds follows from its last number alone.
"""
import collections
import contextlib
import os
import shutil
import signal
import sqlite3
import tempfile

from live_pair import free_port, serve
from stock_shell import END, Shell, expect, fail, wait_until

REACH_S = 20
LIVE = "live.db-litestream"

# Why a generation may not go on, in the words of the status.
NOT_CLOSED = "the WAL is gone and the database file is not as a clean close left it"
RESTART = ["the WAL was restarted while nobody captured it", NOT_CLOSED]
CLOSE = [NOT_CLOSED]

# `when` the `count`th call of kind `what` on a path that fits `where`; `costs` are the reasons of the new
# generation, or, on a live replica, of the snapshot, that may be needed afterwards.
Point = collections.namedtuple("Point", "name provoke when what where count costs", defaults=(1, []))


def body(row):
    return f"{row}:" + "abcdefg" * (row * 37 % 400)


def insert(row):
    return f"BEGIN; INSERT INTO t VALUES({row}, '{body(row)}'); UPDATE step SET k={row}; COMMIT;"


def state_of(path, options):
    """The number of the last transaction in a database, 0 in an empty one; what is no whole state fails."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?{options}", uri=True)) as connection:
        expect(f"integrity of {path}", connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        tables = {name for name, in connection.execute("SELECT name FROM sqlite_master")}
        if "step" not in tables:
            return 0
        rows = connection.execute("SELECT n, b FROM t ORDER BY n").fetchall()
        expect(f"rows of {path}", rows, [(row, body(row)) for row in range(1, len(rows) + 1)])
        expect(f"step of {path}", connection.execute("SELECT k FROM step").fetchall(), [(len(rows),)])
        return len(rows)


class MortalShell(Shell):
    """It may be dead before it is asked."""

    def send(self, text):
        with contextlib.suppress(BrokenPipeError):
            super().send(text)


class Site:
    """A primary with a replica, perhaps a live one, and what is known of them."""

    def __init__(self, directory, options):
        self.directory, self.options = directory, options
        self.url = f"file://{directory}/replica"
        self.upstream = None
        self.shells = []
        self.acknowledged = self.sent = 0
        self.level = 0  # what the live replica showed when it was looked at last
        self.positions = {}  # of the states by their number, as far as they were seen
        self.generation = None

    def path(self, name):
        return os.path.join(self.directory, name)

    # --- Shells ---

    def open(self, name="app.db"):
        environment = {"LD_PRELOAD": self.options.injector, "LITESTREAM_FAULTS": self.path("faults")}
        uri = f"file:{name}?vfs=litestream"
        self.shells.append(MortalShell(self.directory, self.options.module, uri, environment))
        return self.shells[-1]

    def try_ask(self, shell, sql):
        """The lines of the answer; None if the shell died before its end."""
        shell.send(f"{sql}\nSELECT '{END}';")
        lines = shell.lines_until(END)
        if lines and any("rror" in line for line in lines):
            fail(f"{sql[:200]}: {lines}")
        return lines

    def bury(self, shell, point):
        """The shell died, and in the way that was meant."""
        wait_until(f"reached: {point.name}", lambda: shell.process.poll() is not None, REACH_S)
        expect(f"{point.name}: how the shell ended", shell.process.returncode, -signal.SIGKILL)
        self.disarm()

    def end(self):
        self.disarm()
        for shell in self.shells:
            shell.process.kill()
            shell.process.wait()
            shell.process.stdout.close()
            with contextlib.suppress(BrokenPipeError):
                shell.process.stdin.close()
        self.shells.clear()

    # --- The point ---

    def arm(self, point):
        with open(self.path("faults.new"), "w", encoding="utf-8") as file:
            file.write(f"{point.when} {point.what} {point.count} {self.path(point.where)}\n")
        os.rename(self.path("faults.new"), self.path("faults"))

    def disarm(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path("faults"))

    # --- The primary ---

    def set_up(self, shell, options='{"sync_interval":0}'):
        return self.try_ask(shell, f"""
            PRAGMA journal_mode=WAL;
            SELECT litestream_replicate('{self.url}', '{options}')
                WHERE NOT EXISTS (SELECT 1 FROM litestream_replicas);
            BEGIN; CREATE TABLE IF NOT EXISTS t(n INTEGER PRIMARY KEY, b); CREATE TABLE IF NOT EXISTS step(k);
            INSERT INTO step SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM step); COMMIT;""")

    def begin(self, *options):
        shell = self.open()
        self.set_up(shell, *options)
        self.write(shell, 3)
        self.generation = shell.generation()
        return shell

    def write(self, shell, count):
        """Transactions, and the positions behind them; False if the shell died."""
        for row in range(self.sent + 1, self.sent + count + 1):
            self.sent = row
            lines = self.try_ask(shell, insert(row) + " SELECT litestream_position();")
            if lines is None:
                return False
            self.acknowledged = row
            if lines != [self.positions.get(row - 1)]:  # it was captured in time
                self.positions[row] = lines[0]
        return True

    def reopen(self, point):
        """The next shell finds what was acknowledged, goes on, and says why if in another generation."""
        shell = self.open()
        self.set_up(shell)
        found = int(shell.one("SELECT k FROM step;"))
        if not self.acknowledged <= found <= self.sent:
            fail(f"{point.name}: acknowledged {self.acknowledged}, sent {self.sent}, found {found}")
        self.sent = self.acknowledged = found
        generation = shell.generation()
        if self.generation not in (None, generation):
            reason = shell.status()["generation_reason"]
            if reason not in point.costs:
                fail(f"{point.name}: a new generation: {reason}")
            print(f"    a new generation: {reason}")
        self.generation = generation
        self.write(shell, 2)
        shell.sync()
        return shell

    def restorable(self, shell):
        """(position, number of the state) from the oldest snapshot of each generation on."""
        snapshots = shell.ask(f"SELECT generation, printf('%016x:%016x', idx, offset) "
                              f"FROM litestream_snapshots('{self.url}') ORDER BY 1, 2;")
        oldest = dict(reversed([line.split("|") for line in snapshots]))
        for number, position in self.positions.items():
            generation, place = position.split("/")
            if oldest.get(generation, "~") <= place:
                yield position, number

    def check_restores(self, shell, last=0):
        """To the end, and to the positions that were seen (of many, the last ones)."""
        wanted = list(self.restorable(shell))[-last:]
        if not wanted:
            fail("no position is restorable")
        for position, number in wanted + [(None, self.sent)]:
            option = f"""'{{"position":"{position}"}}'""" if position else "NULL"
            path = self.path("restored.db")
            found = shell.one(f"SELECT litestream_restore('{self.url}', '{path}', {option});")
            expect("position restored", found, position or found)
            expect(f"state at {found}", state_of(path, "immutable=1"), number)
            os.unlink(path)

    def leftovers(self, top):
        return [name for _, _, names in os.walk(self.path(top)) for name in names
                if name.endswith((".tmp", ".new")) or name.startswith(("out.db.", "restored.db."))]

    def check_leftovers(self, top=""):
        """Those of the dead; those of the living come and go."""
        wait_until(f"nothing is left behind {self.leftovers(top)}", lambda: not self.leftovers(top), REACH_S)

    # --- The live replica ---

    def serve(self, shell):
        self.upstream = self.upstream or f"127.0.0.1:{free_port()}"
        serve(shell, self.upstream)

    def follow(self, shell):
        return self.try_ask(shell, f"SELECT litestream_stream('http://{self.upstream}/app.db');")

    def check_stock(self, lowest):
        """What a stock program sees of the replica that died, in a copy."""
        os.mkdir(self.path("look"))
        for suffix in ("", "-wal", "-journal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(self.path("live.db" + suffix), self.path("look"))
        seen = state_of(self.path("look/live.db"), "mode=rwc")
        if not lowest <= seen <= self.sent:
            fail(f"a stock program sees state {seen}, it saw {lowest} before, the primary is at {self.sent}")
        shutil.rmtree(self.path("look"))

    def check_level(self, shell, primary):
        position = primary.one("SELECT litestream_position();")
        wait_until("the replica is level", lambda: shell.one("SELECT litestream_position();") == position)
        expect("state of the replica", state_of(self.path("live.db"), "mode=ro"), self.sent)


@contextlib.contextmanager
def new_site(options):
    with tempfile.TemporaryDirectory() as directory:
        site = Site(os.path.realpath(directory), options)
        try:
            yield site
        finally:
            site.end()
