"""kill -9 of stock shells with the real module, at named points and then at random.

A small library, preloaded into the shell, ends it before, within or after a certain call that changes a file
(fault_injector.cc), so that a point is named without any code in the module. After each death the next shell
opens what is there. Then holds:
- every acknowledged commit is there, whole, and nothing that was not sent;
- the generation goes on, unless the point says why it may not;
- the replica restores at every position that was seen, to the database of that moment;
- no temporary file is left in the meta directory, nor beside a restored database once it is restored again;
- a live replica goes on without a snapshot, unless the point says why not, and equals its primary; meanwhile
  a stock program sees one of the primary's states.
A point that is not reached fails the test.

Usage: kill_points.py MODULE INJECTOR [--seconds N] [--seed N] [--only PART_OF_A_NAME]
       N seconds at random behind the named points (15)
"""
import argparse
import os
import time

from kill_random import run_random
from kill_site import CLOSE, LIVE, REACH_S, RESTART, Point, new_site, state_of
from stock_shell import expect, fail, wait_until

META, REPLICA = "app.db-litestream", "replica"
SEGMENT = META + "/*.wal.lz4"

PRIMARY = [
    Point("before the meta directory is made", "first", "before", "mkdir", META),
    Point("after the meta directory is made", "first", "after", "mkdir", META),
    Point("between a generation's folder and its reason", "first", "before", "create",
          META + "/*/reason.tmp"),
    Point("between a generation's reason and its name", "first", "before", "rename", META + "/generation"),
    Point("after a generation is named", "first", "after", "rename", META + "/generation"),
    Point("before the position file is written", "first", "before", "write", META + "/position"),
    Point("after an index is made", "first", "after", "mkdir", META + "/*/0000000000000000"),
    Point("after an index has its header", "first", "after", "rename", META + "/*/0000000000000000.wal.lz4"),
    Point("before the replicas are remembered", "first", "before", "rename", META + "/replicas.json"),
    Point("after the replicas are remembered", "first", "after", "rename", META + "/replicas.json"),
    Point("within a WAL frame", "rows", "within", "write", "app.db-wal", 4),
    Point("after the last WAL frame of a commit", "rows", "after", "write", "app.db-wal", 4),
    Point("after a segment's temporary file is made", "rows", "after", "create", SEGMENT + ".tmp", 2),
    Point("within a segment", "rows", "within", "write", SEGMENT + ".tmp", 2),
    Point("before a segment is published", "rows", "before", "rename", SEGMENT, 2),
    Point("after a segment is published", "rows", "after", "rename", SEGMENT, 2),
    Point("within the position file", "rows", "within", "write", META + "/position", 2),
    Point("before a checkpoint writes", "checkpoint", "before", "write", "app.db"),
    Point("within a checkpoint", "checkpoint", "within", "write", "app.db", 2),
    Point("before a checkpoint syncs", "checkpoint", "before", "sync", "app.db"),
    Point("before the WAL is cut off", "checkpoint", "before", "truncate", "app.db-wal"),
    Point("after the WAL is cut off", "checkpoint", "after", "truncate", "app.db-wal"),
    Point("before the WAL's new header", "checkpoint", "before", "write", "app.db-wal"),
    Point("within the WAL's new header", "checkpoint", "within", "write", "app.db-wal"),
    Point("between the WAL's new header and its first frame", "checkpoint", "after", "write", "app.db-wal"),
    Point("after the first commit behind a restart", "checkpoint", "after", "write", "app.db-wal", 5),
    Point("after a new index is made", "checkpoint", "after", "mkdir", META + "/*/0000000000000001"),
    Point("before a new index has its header", "checkpoint", "before", "rename",
          META + "/*1/0000000000000000.wal.lz4"),
    Point("before the first segment of a new index", "checkpoint", "before", "rename",
          META + "/*1/*20.wal.lz4"),
    Point("before the first segment behind a clean close", "reopen", "before", "create",
          META + "/*1/*20.wal.lz4.tmp", 1, RESTART),
    Point("after the first segment of a new index", "checkpoint", "after", "rename",
          META + "/*1/*20.wal.lz4"),
    Point("before the last close writes the database", "close", "before", "write", "app.db"),
    Point("before the last close removes the WAL", "close", "before", "remove", "app.db-wal"),
    Point("between the removal of the WAL and the record of a clean close", "close", "after", "remove",
          "app.db-wal", 1,
          CLOSE),
    Point("before a clean close is recorded", "close", "before", "rename", META + "/clean-close", 1, CLOSE),
    Point("after a clean close is recorded", "close", "after", "rename", META + "/clean-close"),
]
REPLICATOR = [
    Point("before the replica's directory", "first", "before", "mkdir", REPLICA),
    Point("within the owner record", "first", "within", "write", REPLICA + "/litestream-owner.json.tmp-*"),
    Point("before the owner record is published", "first", "before", "rename",
          REPLICA + "/litestream-owner.json"),
    Point("after the owner record is published", "first", "after", "rename",
          REPLICA + "/litestream-owner.json"),
    Point("before a promise", "rows", "before", "rename", META + "/promised-*"),
    Point("after a promise", "rows", "after", "rename", META + "/promised-*"),
    Point("within a replica's segment", "rows", "within", "write", REPLICA + "/*.wal.lz4.tmp-*"),
    Point("before a replica's segment is synced", "rows", "before", "sync", REPLICA + "/*.wal.lz4.tmp-*"),
    Point("before a replica's segment is published", "rows", "before", "rename", REPLICA + "/*.wal.lz4"),
    Point("after a replica's segment is published", "rows", "after", "rename", REPLICA + "/*.wal.lz4"),
]
SNAPSHOT = [
    Point("within the first snapshot", "first", "within", "write", REPLICA + "/*.snapshot.lz4.tmp-*"),
    Point("before the first snapshot is published", "first", "before", "rename", REPLICA + "/*.snapshot.lz4"),
    Point("after the first snapshot is published", "first", "after", "rename", REPLICA + "/*.snapshot.lz4"),
    Point("within a later snapshot", "snapshot", "within", "write", REPLICA + "/*.snapshot.lz4.tmp-*"),
    Point("before a later snapshot is synced", "snapshot", "before", "sync",
          REPLICA + "/*.snapshot.lz4.tmp-*"),
    Point("before a later snapshot is published", "snapshot", "before", "rename",
          REPLICA + "/*.snapshot.lz4"),
    Point("after a later snapshot is published", "snapshot", "after", "rename", REPLICA + "/*.snapshot.lz4"),
]
RETENTION = [
    Point("before the oldest snapshot goes", "retention", "before", "remove", REPLICA + "/*.snapshot.lz4",
          1, RESTART),
    Point("between an old snapshot and its segments", "retention", "after", "remove",
          REPLICA + "/*.snapshot.lz4", 1, RESTART),
    Point("between two old segments", "retention", "after", "remove", REPLICA + "/*.wal.lz4", 1, RESTART),
    Point("before an old index's folder goes", "retention", "before", "remove",
          REPLICA + "/*/wal/0000000000000000", 1, RESTART),
]
RESTORE = [
    Point("after the output's temporary file is made", "restore", "after", "create", "out.db.tmp-*"),
    Point("within the snapshot's pages", "restore", "within", "write", "out.db.tmp-*"),
    Point("between the snapshot and the segments", "restore", "before", "write", "out.db.tmp-*", 2),
    Point("before the output is synced", "restore", "before", "sync", "out.db.tmp-*"),
    Point("between the output's sync and its name", "restore", "before", "rename", "out.db"),
    Point("after the output has its name", "restore", "after", "rename", "out.db"),
]
NO_RECORD = ["what the file holds is on no record yet"]
APPLIER = [
    Point("before the journal of the first image", "follow", "before", "create", "live.db-journal", 1,
          NO_RECORD),
    Point("before the journal of the first image has its header", "follow", "before", "write",
          "live.db-journal", 1, NO_RECORD),
    Point("after the journal of the first image", "follow", "after", "sync", "live.db-journal", 1, NO_RECORD),
    Point("within the first image", "follow", "within", "write", "live.db", 1, NO_RECORD),
    Point("after the first image is synced", "follow", "after", "sync", "live.db", 1, NO_RECORD),
    Point("before the journal of the first image goes", "follow", "before", "remove", "live.db-journal", 1,
          NO_RECORD),
    Point("after the journal of the first image is gone", "follow", "after", "remove", "live.db-journal",
          1, NO_RECORD),
    Point("before the first applied record", "follow", "before", "write", LIVE + "/applied", 1, NO_RECORD),
    Point("after a received segment's temporary file is made", "apply", "after", "create",
          LIVE + "/*.wal.lz4.tmp"),
    Point("before a received segment is kept", "apply", "before", "rename", LIVE + "/*.wal.lz4"),
    Point("after a received segment is kept", "apply", "after", "rename", LIVE + "/*.wal.lz4"),
    Point("before an applied record", "apply", "before", "write", LIVE + "/applied"),
    Point("within an applied record", "apply", "within", "write", LIVE + "/applied"),
    Point("between an applied record and its frames", "apply", "after", "write", LIVE + "/applied"),
    Point("between a replica's new WAL header and its sync", "again", "before", "sync", "live.db-wal"),
    Point("within the frames of a batch", "again", "within", "write", "live.db-wal", 2),
    Point("between the frames and the wal-index", "again", "after", "write", "live.db-wal", 2),
    Point("before a replica's checkpoint writes", "leave", "before", "write", "live.db"),
    Point("within a replica's checkpoint", "leave", "within", "write", "live.db"),
    Point("before a replica's WAL is cut off", "leave", "before", "truncate", "live.db-wal"),
    Point("after a replica's WAL is cut off", "leave", "after", "truncate", "live.db-wal"),
    Point("before a replica's rest is recorded", "leave", "before", "rename", LIVE + "/clean-close"),
    Point("after a replica's rest is recorded", "leave", "after", "rename", LIVE + "/clean-close"),
]


# --- How points are provoked, and what is looked at behind them ---

def die_first(site, point):
    site.arm(point)
    shell = site.open()
    if site.set_up(shell) is not None and site.write(shell, 2):
        site.try_ask(shell, "SELECT litestream_sync();")
    return shell


def die_in_rows(site, point):
    shell = site.begin()
    site.arm(point)
    if site.write(shell, 4):
        site.try_ask(shell, "SELECT litestream_sync();")
    return shell


def die_in_checkpoint(site, point):
    shell = site.begin()
    site.arm(point)
    if site.try_ask(shell, "PRAGMA wal_checkpoint(TRUNCATE);") is not None:
        site.write(shell, 2)
    return shell


def die_in_close(site, point):
    shell = site.begin()
    site.arm(point)
    shell.process.stdin.close()
    return shell


def die_reopened(site, point):
    site.begin().quit()
    site.arm(point)
    shell = site.open()
    site.write(shell, 2)
    return shell


def die_in_snapshot(site, point):
    shell = site.begin()
    shell.ask("PRAGMA wal_checkpoint(TRUNCATE);")
    site.write(shell, 2)
    site.arm(point)
    site.try_ask(shell, "SELECT litestream_snapshot();")
    return shell


def die_in_retention(site, point):
    shell = site.begin('{"sync_interval":0,"snapshot_interval":"100ms","retention":"200ms"}')
    site.arm(point)
    end = time.monotonic() + REACH_S
    while site.write(shell, 1) and time.monotonic() < end:
        site.try_ask(shell, "PRAGMA wal_checkpoint(TRUNCATE);")
    return shell


PROVOKERS = {"first": die_first, "rows": die_in_rows, "checkpoint": die_in_checkpoint, "close": die_in_close,
             "reopen": die_reopened, "snapshot": die_in_snapshot}


def run_primary(site, point):
    site.bury(PROVOKERS[point.provoke](site, point), point)
    shell = site.reopen(point)
    site.check_restores(shell)
    site.check_leftovers()


def run_retention(site, point):
    """What was begun is brought to its end; then it stands still, for the restores."""
    site.bury(die_in_retention(site, point), point)
    shell = site.reopen(point)
    first = site.path(f"replica/generations/{site.generation}/wal/{0:016x}")
    end = time.monotonic() + REACH_S
    while os.path.exists(first) and time.monotonic() < end:
        site.write(shell, 1)
        shell.ask("PRAGMA wal_checkpoint(TRUNCATE);")
    expect("the first index is there", os.path.exists(first), False)
    shell.sync()
    shell.ask("SELECT litestream_unreplicate('file');")
    site.check_restores(shell)
    site.check_leftovers()


def run_restore(site, point):
    primary = site.begin()
    site.write(primary, 2)
    primary.sync()
    shell = site.open(":memory:")
    sql = f"SELECT litestream_restore('{site.url}', '{site.path('out.db')}');"
    site.arm(point)
    site.try_ask(shell, sql)
    site.bury(shell, point)
    if not os.path.exists(site.path("out.db")):
        site.open(":memory:").one(sql)
    expect("the restored state", state_of(site.path("out.db"), "immutable=1"), site.sent)
    site.check_leftovers()


def die_applying(site, point, primary):
    """From the first state on, or once level with the primary: with a WAL to be begun anew, or at its end."""
    if point.provoke == "follow":
        site.arm(point)
    replica = site.open("live.db")
    if site.follow(replica) is None:
        return replica, 0
    site.check_level(replica, primary)
    if point.provoke == "again":
        replica.quit()
        replica = site.open("live.db")
        site.check_level(replica, primary)
    lowest = site.sent
    site.arm(point)
    if point.provoke == "leave":
        replica.process.stdin.close()
    else:
        site.write(primary, 2)
    return replica, lowest


def run_applier(site, point):
    primary = site.begin()
    site.serve(primary)
    replica, lowest = die_applying(site, point, primary)
    site.bury(replica, point)
    site.check_stock(lowest)
    replica = site.open("live.db")
    if point.provoke == "follow":
        site.follow(replica)
    for _ in range(2):  # the count of snapshots is that of the commit before
        site.write(primary, 1)
        site.check_level(replica, primary)
    if replica.status()["upstream"]["snapshots"] > 0:
        if not point.costs:
            fail(f"{point.name}: the replica needed a snapshot")
        print(f"    a snapshot: {point.costs[0]}")
    site.check_leftovers(LIVE)


ROLES = [("primary", PRIMARY, run_primary), ("replicator", REPLICATOR, run_primary),
         ("snapshot", SNAPSHOT, run_primary), ("retention", RETENTION, run_retention),
         ("restore", RESTORE, run_restore), ("applier", APPLIER, run_applier)]


def run_named(options):
    count = 0
    for role, points, run in ROLES:
        for point in points:
            if options.only not in f"{role}: {point.name}":
                continue
            print(f"{role}: {point.name}", flush=True)
            with new_site(options) as site:
                run(site, point)
            count += 1
    return count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("module", type=lambda path: os.path.abspath(path).removesuffix(".so"))
    parser.add_argument("injector", type=os.path.abspath)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    began = time.monotonic()
    count = run_named(options)
    print(f"kill_points: {count} named points in {time.monotonic() - began:.1f} s, then at random, "
          f"seed {options.seed}", flush=True)
    run_random(options)


if __name__ == "__main__":
    main()
