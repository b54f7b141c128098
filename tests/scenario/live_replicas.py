"""Live replicas under fire: a primary that is written all the time, replicas that follow it through a proxy that
harms what it carries, and stock readers on each replica; each part is killed or stopped at random. In the end,
when all is calm, every replica equals the primary at the same position, and no reader ever saw an anomaly.

Usage: live_replicas.py MODULE [SECONDS [SEED [REPLICAS]]]
"""
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

from fault_proxy import FaultProxy
from stock_shell import Shell, dump_of, expect, fail, quoted, wait_until

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 60
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else int(time.time())
REPLICAS = int(sys.argv[4]) if len(sys.argv) > 4 else 2
READER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "replica_reader.py")
ACCOUNTS = 50


class Primary:
    def __init__(self, directory, port):
        self.directory, self.port = directory, port
        self.rows = 0
        self.start()
        self.shell.ask("CREATE TABLE IF NOT EXISTS account(id INTEGER PRIMARY KEY, amount); "
                       "CREATE TABLE IF NOT EXISTS entry(id INTEGER PRIMARY KEY, note); "
                       "INSERT INTO account WITH RECURSIVE c(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM c WHERE "
                       f"i<{ACCOUNTS}) SELECT i, 1000 FROM c;")

    def start(self):
        self.shell = Shell(self.directory, MODULE)
        self.shell.ask("PRAGMA journal_mode=WAL;")
        self.url = wait_until("the port is free again", self.try_serve)

    def try_serve(self):
        lines = self.shell.answer(f"SELECT litestream_serve('127.0.0.1:{self.port}');")
        if any("in use" in line for line in lines):
            return None
        if len(lines) != 1 or not lines[0].startswith("http://"):
            fail(f"litestream_serve: {lines}")
        return lines[0]

    def write(self, dice):
        """Some transactions in one go; all of them are committed once it returns."""
        statements = []
        for _ in range(dice.randint(1, 30)):
            one, other = dice.randint(1, ACCOUNTS), dice.randint(1, ACCOUNTS)
            amount, size = dice.randint(1, 20), dice.choice([10, 100, 100, 3000])
            self.rows += 1
            statements.append(
                f"BEGIN; UPDATE account SET amount=amount-{amount} WHERE id={one}; "
                f"UPDATE account SET amount=amount+{amount} WHERE id={other}; "
                f"INSERT INTO entry VALUES({self.rows}, hex(randomblob({size}))); COMMIT;")
        rare = dice.random()
        if rare < 0.02:
            statements.append("PRAGMA wal_checkpoint(TRUNCATE);")
        elif rare < 0.03:
            statements.append("VACUUM;")
        elif rare < 0.05:
            statements.append(f"CREATE TABLE extra{self.rows}(a); DROP TABLE extra{self.rows};")
        self.shell.ask("\n".join(statements))

    def kill(self):
        self.shell.kill()
        self.start()
        expect("rows of the primary after its death", self.shell.one("SELECT count(*) FROM entry;"), str(self.rows))


class Replica:
    def __init__(self, directory, name, proxy):
        self.directory, self.path = directory, os.path.join(directory, name + ".db")
        self.uri = f"file:{name}.db?vfs=litestream"
        self.url = f"http://127.0.0.1:{proxy.port}/app.db"
        self.readers = {}
        self.deaths = 0
        self.shell = Shell(directory, MODULE, self.uri)
        proxy.is_calm = True
        self.shell.ask(f"SELECT litestream_stream({quoted(self.url)});")
        proxy.is_calm = False
        for kind, pause in {"busy": "0", "long": "0.01", "quiet": "0.2"}.items():
            self.start_reader(kind, pause)

    def start_reader(self, kind, pause):
        self.readers[kind, pause] = subprocess.Popen([sys.executable, "-B", READER, self.path, pause, kind],
                                                     stdout=subprocess.PIPE, text=True)

    def check_readers(self):
        for kind, reader in self.readers.items():
            if reader.poll() is not None:
                fail(f"reader {kind} of {self.path}: {reader.stdout.read()}")
        look = subprocess.run(["sqlite3", "-init", "/dev/null", "-cmd", ".timeout 30000", self.path,
                               "SELECT count(*) = coalesce(max(id), 0) FROM entry"], capture_output=True, text=True, check=False)
        if look.stdout != "1\n" or look.stderr.replace("-- Loading resources from /dev/null\n", ""):
            fail(f"the stock shell on {self.path}: {look.stdout} {look.stderr}")

    def end_readers(self):
        answers = []
        for kind, reader in self.readers.items():
            reader.terminate()
            text, _ = reader.communicate(timeout=60)
            if reader.returncode != 0:
                fail(f"reader {kind} of {self.path}: {text}")
            answers.append(f"{kind[0]}: {text.strip()}")
        return answers

    def kill(self):
        self.deaths += 1
        self.shell.kill()
        self.shell = Shell(self.directory, MODULE, self.uri)  # what it follows is remembered

    def kill_reader(self, dice):
        kind = dice.choice(list(self.readers))
        reader = self.readers[kind]
        reader.kill()
        reader.communicate()
        self.start_reader(*kind)


def pause(process, dice):
    """SIGSTOP in the middle of whatever it does; the primary goes on writing meanwhile."""
    process.send_signal(signal.SIGSTOP)
    return time.monotonic() + dice.uniform(0.1, 1.5), process


def disturb(dice, primary, replicas, proxies, stopped):
    what, number = dice.random(), dice.randrange(len(replicas))
    replica = replicas[number]
    if what < 0.15:
        primary.kill()
    elif what < 0.4:
        replica.kill()
    elif what < 0.6:
        proxies[number].cut_all()
    elif what < 0.75:
        replica.kill_reader(dice)
    elif what < 0.9 and not stopped:
        stopped.append(pause(replica.shell.process, dice))
    elif not stopped:
        stopped.append(pause(dice.choice(list(replica.readers.values())), dice))


def resume(stopped, now):
    for entry in [entry for entry in stopped if entry[0] <= now]:
        entry[1].send_signal(signal.SIGCONT)
        stopped.remove(entry)


def check_end(primary, replica):
    position = primary.shell.one("SELECT litestream_position();")
    wait_until(f"{replica.path} is at {position}",
               lambda: replica.shell.one("SELECT litestream_position();") == position)
    expect(f"dump of {replica.path}", dump_of(replica.path), primary.shell.dump())
    expect("integrity", replica.shell.one("PRAGMA integrity_check;"), "ok")
    expect_text = replica.shell.refusal("INSERT INTO entry VALUES(0, 0);")
    if "readonly" not in expect_text:
        fail(f"a write to the replica: {expect_text}")


def main():
    print(f"seed {SEED}", flush=True)
    dice = random.Random(SEED)
    with tempfile.TemporaryDirectory() as directory:
        os.mkdir(f"{directory}/primary")
        probe = __import__("socket").create_server(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        primary = Primary(f"{directory}/primary", port)
        proxies = [FaultProxy(port, dice.random()) for _ in range(REPLICAS)]
        replicas = [Replica(directory, f"replica{i}", proxies[i]) for i in range(REPLICAS)]
        end, next_disturbance, stopped = time.monotonic() + SECONDS, 0, []
        while (now := time.monotonic()) < end:
            primary.write(dice)
            resume(stopped, now)
            if now > next_disturbance:
                next_disturbance = now + dice.uniform(0.1, 1.5)
                disturb(dice, primary, replicas, proxies, stopped)
            dice.choice(replicas).check_readers()
        resume(stopped, float("inf"))
        for proxy in proxies:
            proxy.is_calm = True
            proxy.cut_all()
        for number, replica in enumerate(replicas):
            check_end(primary, replica)
            snapshots = replica.shell.status()["upstream"]["snapshots"]
            print(f"replica {number}: {replica.deaths} deaths, {snapshots} snapshots since, readers: "
                  f"{'; '.join(replica.end_readers())}; proxy {proxies[number].counts}")
            replica.shell.quit()
        primary.shell.quit()
        print(f"live_replicas: {primary.rows} transactions in {SECONDS:.0f} s, no anomaly")


if __name__ == "__main__":
    main()
