"""Two stock shells with the real module on one database: one captures, the other stands by and takes over.

First by hand: what the second one answers while it stands by, and that its commits are captured by the first.
Then rounds from a seed: both write, at random moments the one that captures is killed or quits, the other goes
on, a new shell joins. In the end every acknowledged row is there and both replicas restore to the database.
The same with an object store that counts: the one that stands by sends it nothing, and nothing is there twice.

Usage: two_processes.py MODULE [SEED [ROUNDS]]
"""
import collections
import os
import random
import sys
import tempfile

from fault_store import FaultStore
from stock_shell import Shell, check_restore, expect, expect_in, fail, wait_until

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 12
HAND_OVERS = 6  # with the object store
ALLOWED_REASONS = {"no generation exists"}


def shell(directory):
    return Shell(directory, MODULE)


def second_stands_by(directory, scratch, url, other_url):
    first = shell(directory)
    first.ask(f"SELECT litestream_replicate('{url}', '{{\"name\":\"a\",\"sync_interval\":\"50ms\"}}');")
    first.ask("CREATE TABLE t(n INTEGER PRIMARY KEY, who, b);")
    generation = first.generation()
    second = shell(directory)
    second.ask("INSERT INTO t VALUES(1, 'second', randomblob(5000));")
    holder = f"another process captures this database (pid {first.process.pid})"
    expect_in("sync", holder, second.refusal("SELECT litestream_sync(2);"))
    expect_in("snapshot", holder, second.refusal("SELECT litestream_snapshot();"))
    expect_in("replicate", holder, second.refusal(f"SELECT litestream_replicate('{other_url}');"))
    expect_in("unreplicate", holder, second.refusal("SELECT litestream_unreplicate('a');"))
    expect("what a refused replica leaves", os.path.exists(other_url.removeprefix("file://")), False)
    status = second.status()
    expect("role", (status["role"], status["why"], status["position"]), ("none", holder, None))
    wait_until("a TRUNCATE of what the first one captures unasked",
               lambda: second.one("PRAGMA wal_checkpoint(TRUNCATE);").split("|")[0] == "0")

    first.ask("INSERT INTO t VALUES(2, 'first', randomblob(5000));")
    expect("generation", first.generation(), generation)
    check_restore(first, url, scratch, second.dump())
    wait_until("a TRUNCATE of what is captured",
               lambda: second.one("PRAGMA wal_checkpoint(TRUNCATE);").split("|")[0] == "0")
    # Added and taken away while the second one runs: it has to follow what is remembered when it takes over.
    first.ask(f"SELECT litestream_replicate('{other_url}', '{{\"name\":\"b\",\"sync_interval\":\"50ms\"}}');")
    first.ask("INSERT INTO t VALUES(3, 'first', 0);")
    first.sync()
    second.ask("INSERT INTO t VALUES(4, 'second', 0);")
    first.kill()
    wait_until("the second one notices by itself", lambda: second.status()["role"] == "primary")

    expect("generation after the hand-over", wait_until("the hand-over", lambda: taken_over(second)), generation)
    wait_until("both replicas", lambda: len(second.status()["replicas"]) == 2)
    second.sync()
    check_restore(second, url, scratch, second.dump())
    check_restore(second, other_url, scratch, second.dump())
    second.quit()
    third = shell(directory)
    expect("generation after a clean close", third.generation(), generation)
    third.quit()


def taken_over(survivor):
    lines = survivor.answer("SELECT litestream_sync();")
    if len(lines) == 1 and "rror" not in lines[0]:
        return lines[0].split("/")[0]
    if "another process captures" not in "\n".join(lines):
        fail(f"seed {SEED}: {lines}")
    return None


def write(draw, writers, next_row):
    """Rows from both, interleaved; those that are acknowledged when this returns."""
    for _ in range(draw.randint(1, 60)):
        writer = draw.choice(writers)
        writer.ask(f"INSERT INTO t VALUES({next_row}, 'x', randomblob({draw.randint(1, 3000)}));")
        next_row += 1
        if draw.random() < 0.1:
            writer.send(".timeout 50")
            writer.ask(f"PRAGMA wal_checkpoint({draw.choice(['PASSIVE', 'RESTART', 'TRUNCATE'])});")
            writer.send(".timeout 10000")
    return next_row


def rounds(directory, scratch, urls):
    draw = random.Random(SEED)
    holder, other = shell(directory), None
    generations = [holder.generation()]
    other = shell(directory)
    next_row = 10
    for number in range(ROUNDS):
        next_row = write(draw, [holder, other], next_row)
        # Both are in the middle of a commit.
        for row, writer in ((next_row, holder), (next_row + 1, other)):
            writer.send(f"INSERT INTO t VALUES({row}, 'last', randomblob({draw.randint(1, 90000)}));")
        next_row += 2
        (holder.kill if draw.random() < 0.7 else holder.quit)()
        holder, other = other, shell(directory)
        generation = wait_until("the hand-over", lambda survivor=holder: taken_over(survivor))
        if generation != generations[-1]:
            reason = holder.status()["generation_reason"]
            if reason not in ALLOWED_REASONS:
                fail(f"seed {SEED}, round {number}: a new generation: {reason}")
            generations.append(generation)
        rows = int(holder.one("SELECT count(*) FROM t WHERE n >= 10;"))
        if not next_row - 10 - ROUNDS <= rows <= next_row - 10:
            fail(f"seed {SEED}, round {number}: {rows} rows of {next_row - 10}")
        for url in urls:
            check_restore(holder, url, scratch, holder.dump())
    expect("integrity", holder.one("PRAGMA integrity_check;"), "ok")
    holder.quit()
    other.quit()
    return next_row - 10, len(generations)


class CountingStore(FaultStore):
    """Lets anybody in who knows the secret, and notes who asked for what."""

    SECRET = "a-secret"

    def __init__(self):
        super().__init__("", self.SECRET, "")
        self.log = []  # (key id, kind, key, status)

    def answer(self, request, signed_path, is_damaged):
        name = request.headers.get("authorization", "").partition("Credential=")[2].partition("/")[0]
        self.keys = (name, self.SECRET, "")
        answer = super().answer(request, signed_path, is_damaged)
        self.log.append((name, request.kind(), request.key, answer.status))
        return answer

    def senders(self):
        with self.lock:
            return {name for name, *_ in self.log}

    def check_uploads(self, hand_overs):
        """Every file once, but for one that was on its way at a hand-over, and no bytes of the WAL in two.

        A process sends its first file once more: whether the store refuses what is there already.
        """
        with self.lock:
            files = [(name, key, status) for name, kind, key, status in self.log
                     if kind in ("PUT", "COMPLETE") and "/generations/" in key]
            objects = dict(self.objects)
        stored = collections.Counter(key for _, key, status in files if status == 200)
        expect("statuses", {status for *_, status in files} <= {200, 412}, True)
        expect("stored twice", [key for key, count in stored.items() if count > 1], [])
        own = {(name, key) for name, key, status in files if status == 200}
        tried = [name for name, key, status in files if status == 412 and (name, key) in own]
        expect("tried more than once", sorted(set(tried)), sorted(tried))
        repeated = [key for name, key, status in files if status == 412 and (name, key) not in own]
        if len(repeated) > hand_overs or len(set(repeated)) != len(repeated):
            fail(f"seed {SEED}: sent again, at {hand_overs} hand-overs: {repeated}")
        ends = {}
        for key in sorted(stored):
            folder, name = os.path.split(key)
            if not name.endswith(".wal.lz4"):
                continue
            start, end = self.place_of(objects[key].body)
            expect(f"start of {key}", start if start else 32, ends.get(folder, 32))
            ends[folder] = end
        return len(stored), len(repeated)

    @staticmethod
    def place_of(body):
        """Where a segment starts and ends, by its trailer (shared/format/trailer.h)."""
        trailer = body[-int.from_bytes(body[-4:], "big"):]
        expect("trailer", trailer[8:12], b"LSTR")
        return int.from_bytes(trailer[40:48], "big"), int.from_bytes(trailer[48:56], "big")


def nothing_twice(directory, scratch, store):
    draw = random.Random(SEED)

    def join(number):
        environment = {"AWS_ACCESS_KEY_ID": f"SHELL{number}", "AWS_SECRET_ACCESS_KEY": store.SECRET}
        return Shell(directory, MODULE, environment=environment)

    holder = join(0)
    holder.ask(f"SELECT litestream_replicate('{store.url()}', '{{\"sync_interval\":\"20ms\"}}');")
    holder.ask("CREATE TABLE t(n INTEGER PRIMARY KEY, who, b);")
    generation = holder.generation()
    next_row = 0
    for number in range(1, HAND_OVERS + 1):
        other = join(number)
        next_row = write(draw, [holder, other], next_row)
        if f"SHELL{number}" in store.senders():
            fail(f"seed {SEED}: number {number} sent something while it stood by: {store.log}")
        holder.send(f"INSERT INTO t VALUES({-number}, 'last', randomblob({draw.randint(1, 90000)}));")
        holder.kill()
        holder = other
        expect("generation", wait_until("the hand-over", lambda: taken_over(holder)), generation)
    holder.sync()
    check_restore(holder, store.url(), scratch, holder.dump())
    holder.quit()
    return store.check_uploads(HAND_OVERS)


def main():
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryDirectory() as scratch:
        store = CountingStore()
        try:
            files, repeated = nothing_twice(directory, scratch, store)
        finally:
            store.close()
        print(f"seed {SEED}: {HAND_OVERS} hand-overs, {files} files uploaded, {repeated} of them sent again")
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryDirectory() as scratch:
        urls = [f"file://{directory}/replica/a", f"file://{directory}/replica/b"]
        second_stands_by(directory, scratch, *urls)
        rows, generations = rounds(directory, scratch, urls)
    print(f"seed {SEED}: {ROUNDS} hand-overs, {rows} rows, {generations} generations, both replicas restored equal")
    if generations > 1 + ROUNDS // 3:
        fail("too many generations for a window of one commit")


main()
