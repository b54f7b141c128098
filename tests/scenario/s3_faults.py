"""The module with an S3 store that fails in every way that a store or the network can: see fault_store.py.

Each case has a store, a database and a shell of its own; several run at a time. While a fault lasts commits go on
and status names it; afterwards all is there in the same generation and restores equal, and no secret was shown.
Bad input: s3_wrong.py.

Usage: s3_faults.py MODULE
"""
import concurrent.futures
import contextlib
import json
import os
import sys
import tempfile

from fault_store import Fault, FaultStore
from stock_shell import Shell, check_restore, expect, expect_in, fail, quoted, wait_until

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY"
TOKEN = "FwoGZXIvYXdzEXAMPLE//token=="
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
PART_BYTES = 8 << 20  # beyond that a snapshot goes in parts
AT_A_TIME = 12

# Refused at once, so that the client asks what the store has.
ONCE = Fault("PUT", status=400, code="EntityTooLarge", times=1)

# What lasts, and what status says meanwhile.
LASTING = [
    ([Fault("PUT")], "InternalError: as told (500)"),
    ([Fault("PUT", status=503, code="SlowDown", message="Reduce your request rate")],
     "SlowDown: Reduce your request rate (503)"),
    ([Fault("PUT", status=429, code="TooManyRequests", headers={"Retry-After": "1"})], "TooManyRequests: as told (429)"),
    ([Fault("", "reset")], "Connection reset by peer"),
    ([Fault("PUT", "lose")], "Connection reset by peer"),
    ([Fault("", status=403, code="AccessDenied", message=f"User: arn:x is not authorized, with {SECRET} and {TOKEN}")],
     "AccessDenied: User: arn:x is not authorized, with *** and *** (403); the credentials need s3:"),
    ([Fault("", status=404, code="NoSuchBucket")],
     'NoSuchBucket: as told (404); there is no bucket "bucket" at http://127.0.0.1:'),
    ([Fault("", status=400, code="ExpiredToken", message="The provided token has expired.")],
     "ExpiredToken: The provided token has expired. (400); the credentials have expired: renew them"),
    ([Fault("", status=301, code="PermanentRedirect")],
     "PermanentRedirect: as told (301); the bucket is not in the region us-east-1: say where, with `region`"),
    ([Fault("", status=307, code="TemporaryRedirect")], "TemporaryRedirect: as told (307); the bucket is not in"),
    ([Fault("PUT", "damage")], "the store has other bytes than were sent"),
    ([ONCE, Fault("LIST", "cut")], "Connection reset by peer"),
    ([ONCE, Fault("LIST", "short")], "transfer closed with 100 bytes remaining to read"),
    ([ONCE, Fault("LIST", "garbage")], "the store's answer is no ListBucketResult"),
    ([ONCE, Fault("LIST", "half")], "the store's answer is no ListBucketResult"),
    ([ONCE, Fault("LIST", "endless")], "the store's listing goes on, but it does not say where"),
    ([ONCE, Fault("LIST")], "InternalError: as told (500)"),
    ([ONCE, Fault("GET", "short")], "app/litestream-owner.json: http://127.0.0.1:"),
    ([ONCE, Fault("GET", "garbage")], "app/litestream-owner.json: "),
    ([ONCE, Fault("LIST", "slow", times=1)], "too little came or went in time"),
]

# What passes, and nobody notices.
PASSING = [
    [Fault("PUT", "lose", times=1)],
    [Fault("PUT", "lose", times=2)],
    [Fault("PUT", "reset", times=2)],
    [Fault("PUT", "etag")],
    [Fault("PUT", "damage", times=1)],
    [Fault("PUT", status=503, code="SlowDown", times=2)],
    [Fault("PUT", status=429, code="TooManyRequests", headers={"Retry-After": "1"}, times=2)],
]

# The same, while a snapshot of several parts goes up.
IN_PARTS = [[Fault(kind, how, times=1)] for kind in ("BEGIN", "PART", "COMPLETE") for how in ("refuse", "reset", "lose")]
IN_PARTS += [[Fault("COMPLETE", "garbage", times=1)], [Fault("PART", "cut", times=1)]]

# While a replica is restored: what passes, and what is an error that says so.
RESTORING = [
    ([Fault("", "reset", times=2)], None),
    ([Fault("GET", "cut", times=2)], None),
    ([Fault("GET", "short", times=1)], None),
    ([Fault("LIST", "cut", times=1)], None),
    ([Fault("", status=503, code="SlowDown", times=2)], None),
    ([Fault("GET", "garbage", times=1)], "generations/"),
    ([Fault("GET", "half", times=1)], "generations/"),
    ([Fault("LIST", "half", times=1)], "the store's answer is no ListBucketResult"),
    ([Fault("LIST", "endless", times=1)], "does not say where"),
    ([Fault("GET", status=403, code="AccessDenied")], "AccessDenied: as told (403); the credentials need s3:GetObject"),
    ([Fault("GET", "slow", times=1)], "too little came or went in time"),
]


class Site(contextlib.ExitStack):
    """A store, and a shell whose database is replicated to it."""

    def __init__(self):
        super().__init__()
        self.directory = self.enter_context(tempfile.TemporaryDirectory())
        self.scratch = self.enter_context(tempfile.TemporaryDirectory())
        self.store = FaultStore(*KEYS.values())
        self.callback(self.store.close)
        self.url = self.store.url()
        self.shell = Shell(self.directory, MODULE, environment=KEYS)
        self.callback(self.shell.kill)
        self.generation = None

    def replicate(self):
        self.shell.ask("PRAGMA journal_mode=WAL; CREATE TABLE IF NOT EXISTS t(n INTEGER PRIMARY KEY, b);")
        options = json.dumps({"name": "s3", "sync_interval": 0, "retention": 0})
        self.shell.ask(f"SELECT litestream_replicate({quoted(self.url)}, {quoted(options)});")

    def begin(self):
        self.replicate()
        self.insert()
        self.generation = self.shell.generation()

    def insert(self):
        for _ in range(5):
            self.shell.ask("INSERT INTO t(b) VALUES(randomblob(2000));")

    def error(self):
        return self.shell.replica("s3")["last_error"] or ""

    def mend(self):
        unseen = self.store.mend()
        if unseen:
            fail(f"a fault that never came: {unseen}")

    def check_no_secret(self):
        told = json.dumps(self.shell.status()) + "\n".join(self.events())
        for secret in KEYS.values():
            expect("a secret is shown", secret in told, False)

    def check(self):
        """Everything is there, in one generation."""
        generation = self.shell.generation()
        expect("generation", generation, self.generation or generation)
        wait_until("it is well", lambda: self.shell.replica("s3")["state"] == "ok" and not self.error())
        check_restore(self.shell, self.url, self.scratch, self.shell.dump())
        self.check_no_secret()

    def events(self):
        return self.shell.answer("SELECT kind || ' ' || coalesce(detail, '') FROM litestream_events;")

    def expect_no_event(self, *kinds):
        events = [event for event in self.events() if event.split()[0] in kinds]
        expect("events", events, [])


def lasting(faults, said):
    with Site() as site:
        site.begin()
        site.store.fail(*faults)
        site.insert()
        wait_until(f"{said!r} in last_error", lambda: said in site.error())
        site.insert()
        site.check_no_secret()
        site.mend()
        site.check()
        site.expect_no_event("replica_fenced", "replica_gap")


def passing(faults):
    with Site() as site:
        site.begin()
        site.store.fail(*faults)
        site.insert()
        site.shell.sync()
        site.mend()
        site.check()
        site.expect_no_event("replica_error", "replica_fenced", "replica_gap")


def in_parts(faults):
    with Site() as site:
        site.shell.ask(f"PRAGMA journal_mode=WAL; CREATE TABLE u(b); INSERT INTO u VALUES(zeroblob(1)),"
                       f"(randomblob({PART_BYTES + 100_000}));")
        site.store.fail(*faults)
        site.replicate()
        site.shell.sync()
        site.mend()
        site.insert()
        site.check()
        expect("uploads that nobody finished", len(site.store.uploads), faults[0].kind == "BEGIN" and faults[0].how == "lose")
        site.expect_no_event("replica_error", "replica_fenced", "replica_gap")


def restoring(faults, said):
    with Site() as site:
        site.begin()
        site.insert()
        site.shell.sync()
        site.store.fail(*faults)
        if said is None:
            check_restore(site.shell, site.url, site.scratch, site.shell.dump())
        else:
            path = os.path.join(site.scratch, "refused.db")
            refusal = site.shell.refusal(f"SELECT litestream_restore({quoted(site.url)}, {quoted(path)});")
            expect_in("refusal", said, refusal)
            expect("what it left", os.listdir(site.scratch), [])
            expect("a secret is shown", SECRET in refusal or TOKEN in refusal, False)
        site.mend()
        site.check()


def run(case):
    function, *arguments = case
    try:
        function(*arguments)
        return None
    except SystemExit as error:
        return f"{function.__name__} {arguments}: {error}"


def main():
    cases = [(lasting, *row) for row in reversed(LASTING)] + [(restoring, *row) for row in reversed(RESTORING)]
    cases += [(passing, row) for row in PASSING] + [(in_parts, row) for row in IN_PARTS]
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        failed = [failure for failure in pool.map(run, cases) if failure]
    if failed:
        fail("\n".join(failed))
    print(f"{len(cases)} faults of a store: commits went on, all was said, nothing was lost, no secret was shown")


main()
