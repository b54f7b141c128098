"""What scenarios with a stock sqlite3 shell share: a shell that answers statement by statement, and the check
that a replica restores to the database. Every wait has a deadline; what goes wrong ends the test with a message.
"""
import json
import os
import select
import subprocess
import sys
import time

DEADLINE_S = 60
END = "end of answer"


def fail(message):
    sys.exit(f"FAILED: {message}")


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


def expect(what, seen, wanted):
    if seen != wanted:
        fail(f"{what}: expected {wanted!r}, got {seen!r}")


def expect_in(what, part, text):
    if part not in text:
        fail(f"{what}: no {part!r} in {text!r}")


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def wait_until(what, condition, deadline_s=DEADLINE_S):
    """Asks until the condition holds; what it asks of a shell or the kernel takes its time."""
    end = time.monotonic() + deadline_s
    while not (answer := condition()):
        if time.monotonic() > end:
            fail(f"not within {deadline_s} s: {what}")
    return answer


class Shell:
    """A sqlite3 shell in `directory` that has `uri` open, by default the database app.db, captured."""

    def __init__(self, directory, module=None, uri="file:app.db?vfs=litestream", environment=None):
        self.process = subprocess.Popen(["sqlite3", "-batch", "-init", "/dev/null"], cwd=directory,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        env={**os.environ, **(environment or {})})
        self.buffer = b""
        if module:
            self.send(f".load '{module}'")
        self.send(f'.open "{uri}"')
        self.send(".timeout 10000")

    def send(self, text):
        self.process.stdin.write(text.encode(errors="surrogateescape") + b"\n")
        self.process.stdin.flush()

    def lines_until(self, last):
        """Lines up to and without `last`; None if the shell is gone before."""
        lines = []
        end = time.monotonic() + DEADLINE_S
        while True:
            while b"\n" in self.buffer:
                line, _, self.buffer = self.buffer.partition(b"\n")
                line = line.decode(errors="surrogateescape")
                if line == last:
                    return lines
                lines.append(line)
            readable, _, _ = select.select([self.process.stdout], [], [], max(end - time.monotonic(), 0))
            if not readable:
                fail(f"no answer within {DEADLINE_S} s")
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                return None
            self.buffer += more

    def answer(self, sql):
        self.send(sql)
        self.send(f"SELECT '{END}';")
        lines = self.lines_until(END)
        if lines is None:
            fail(f"the shell ended at {sql[:200]}")
        return lines

    def ask(self, sql):
        lines = self.answer(sql)
        if any("rror" in line for line in lines):
            fail(f"{sql[:200]}: {lines}")
        return lines

    def one(self, sql):
        lines = self.ask(sql)
        if len(lines) != 1:
            fail(f"{sql[:200]}: expected one line, got {lines}")
        return lines[0]

    def refusal(self, sql):
        """The message of a statement that has to fail."""
        text = "\n".join(self.answer(sql))
        if "rror" not in text:
            fail(f"{sql[:200]}: was not refused: {text}")
        return text

    def status(self):
        return json.loads("\n".join(self.answer("SELECT litestream_status();")))

    def replica(self, name):
        return next(replica for replica in self.status()["replicas"] if replica["name"] == name)

    def sync(self):
        return self.one("SELECT litestream_sync();")

    def generation(self):
        return self.sync().split("/")[0]

    def dump(self):
        return self.ask(".dump")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def quit(self):
        self.process.stdin.close()
        self.process.stdout.read()
        self.process.stdout.close()
        self.process.wait(DEADLINE_S)


def dump_of(path):
    done = subprocess.run(["sqlite3", "-batch", "-init", "/dev/null", path, ".dump"], capture_output=True, check=True)
    return done.stdout.decode(errors="surrogateescape").splitlines()


def check_restore(shell, url, scratch, expected, options="{}"):
    """Restores to a new file in `scratch`, and compares the dump."""
    path = os.path.join(scratch, f"restored.{len(os.listdir(scratch))}.{time.monotonic_ns()}.db")
    shell.one(f"SELECT litestream_restore({quoted(url)}, {quoted(path)}, {quoted(options)});")
    restored = dump_of(path)
    os.unlink(path)
    if restored != expected:
        fail(f"{url} restores to another database: {len(restored)} lines instead of {len(expected)}")
