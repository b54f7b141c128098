"""What a bucket is asked while SQLite commits: a minute at 500 commits a second, and as long an idle time, with the
built module and a real S3 server. Prints figures and judges nothing.

    s3_requests.py MODULE SERVER [COMMITS_PER_SECOND [SECONDS]]

SERVER: the program versitygw. Rows of 100 bytes, one a commit, synchronous=NORMAL, sync_interval 1 s.
"""
import json
import os
import select
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
SERVER = os.path.abspath(sys.argv[2])
RATE = int(sys.argv[3]) if len(sys.argv) > 3 else 500
SECONDS = int(sys.argv[4]) if len(sys.argv) > 4 else 60
START_S = 20
KEYS = {"ROOT_ACCESS_KEY": "benchkey", "ROOT_SECRET_KEY": "benchsecret"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait(seconds):
    """The rate of a load, and the length of idle time: there is no condition to wait for."""
    select.select([], [], [], max(seconds, 0))


def start_server(directory, port):
    os.makedirs(os.path.join(directory, "bucket"))
    server = subprocess.Popen([SERVER, "--quiet", "--port", f"127.0.0.1:{port}", "--region", "us-east-1", "posix",
                               directory], env={**os.environ, **KEYS})
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server
        os.sched_yield()
    server.kill()
    sys.exit("the server does not start")


class Site:
    def __init__(self, directory, port):
        loader = sqlite3.connect(":memory:")
        loader.enable_load_extension(True)
        loader.load_extension(MODULE)
        self.db = sqlite3.connect(f"file:{directory}/app.db?vfs=litestream", uri=True, isolation_level=None)
        self.call("PRAGMA journal_mode=WAL")
        self.call("PRAGMA synchronous=NORMAL")
        self.call("CREATE TABLE t(id INTEGER PRIMARY KEY, body)")
        self.call("SELECT litestream_replicate(?)", f"s3://bucket/app?endpoint=http://127.0.0.1:{port}")
        self.call("SELECT litestream_sync(60)")
        self.reported = {}

    def call(self, sql, *arguments):
        row = self.db.execute(sql, arguments).fetchone()
        return row[0] if row else None

    def index(self):
        return int(self.call("SELECT litestream_position()").split("/")[1].split(":")[0], 16)

    def report(self, what):
        replica = json.loads(self.call("SELECT litestream_status()"))["replicas"][0]
        if replica["last_error"]:
            print("  last error:", replica["last_error"])
        counts = replica["requests"]
        changes = [f"{kind} {count - self.reported.get(kind, 0)}" for kind, count in counts.items()]
        print(f"  {what:56}", *changes, flush=True)
        self.reported = counts

    def load(self):
        body = "x" * 100
        start = time.monotonic()
        late = 0.0
        for commit in range(RATE * SECONDS):
            ahead = start + commit / RATE - time.monotonic()
            wait(ahead)
            late = max(late, -ahead)
            self.db.execute("INSERT INTO t(body) VALUES(?)", (body,))
        return time.monotonic() - start, late


def main():
    with tempfile.TemporaryDirectory() as directory:
        os.environ.update(AWS_ACCESS_KEY_ID=KEYS["ROOT_ACCESS_KEY"], AWS_SECRET_ACCESS_KEY=KEYS["ROOT_SECRET_KEY"])
        port = free_port()
        server = start_server(os.path.join(directory, "store"), port)
        try:
            site = Site(directory, port)
            wait(1)  # for retention
            site.report("start: owner record, first snapshot, retention")
            before = site.index()
            seconds, late = site.load()
            indexes = site.index() - before
            site.call("SELECT litestream_sync(60)")
            site.report(f"{seconds:.1f} s at {RATE} commits/s, {indexes} new indexes")
            print(f"  (the latest commit was {late * 1000:.0f} ms late)")
            wait(SECONDS)
            site.report(f"{SECONDS} idle seconds")
            site.db.close()
        finally:
            server.kill()
            server.wait()


main()
