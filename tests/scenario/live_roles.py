"""Live replicas and their roles: cascades, promotion, who may write, what is remembered, and a primary that
dies, comes back, or loses its WAL.

Usage: live_roles.py MODULE
"""
import os

from live_pair import (check_level, check_read_only, check_writable, follow_sql, free_port, open_primary,
                       open_replica, open_shell, open_stock, position_of, run_parts, serve)
from stock_shell import dump_of, expect, expect_in, fail, quoted, wait_until

STOP = "SELECT litestream_stream_stop();"
PROMOTE = """SELECT litestream_stream_stop('{"promote":true}');"""


def generation_of(shell):
    return position_of(shell).split("/")[0]


def events(shell, kind):
    return shell.ask(f"SELECT detail FROM litestream_events WHERE kind={quoted(kind)};")


def snapshots(replica):
    return replica.status()["upstream"]["snapshots"]


def cascade(kept, directory):
    primary, url = open_primary(kept, directory)
    middle = open_replica(kept, directory, "middle.db", url)
    middle_address = f"127.0.0.1:{free_port()}"
    serve(middle, middle_address)
    last = open_replica(kept, directory, "last.db", f"http://{middle_address}/middle.db")
    primary.ask("INSERT INTO t(b) VALUES('through both'); CREATE INDEX t_b ON t(b);")
    check_level(primary, middle, f"{directory}/middle.db")
    check_level(middle, last, f"{directory}/last.db")
    expect("the cascade's positions", position_of(last), position_of(primary))
    middle.kill()
    primary.ask("INSERT INTO t(b) VALUES('while the middle one is away');")
    middle = open_shell(kept, directory, "middle.db")
    serve(middle, middle_address)
    check_level(primary, middle, f"{directory}/middle.db")
    check_level(middle, last, f"{directory}/last.db")
    expect("the last one goes on without a snapshot", snapshots(last), 1)
    before = generation_of(last)

    primary.kill()
    middle.one(PROMOTE)
    middle.ask("INSERT INTO t(b) VALUES('of the new primary');")

    if generation_of(middle) == before:
        fail("a promotion goes on in the old generation")
    check_level(middle, last, f"{directory}/last.db")
    expect("what the last one has", last.ask("SELECT b FROM t WHERE a > 3;"),
           ["through both", "while the middle one is away", "of the new primary"])
    check_read_only(last)


def promotion(kept, directory):
    primary, url = open_primary(kept, directory)
    replica = open_replica(kept, directory, "replica.db", url)
    check_level(primary, replica, f"{directory}/replica.db")
    generation = generation_of(primary)

    replica.ask(PROMOTE + "INSERT INTO t(b) VALUES('here'); "
                "BEGIN; UPDATE t SET b='also here' WHERE a=1; COMMIT;")
    primary.ask("INSERT INTO t(b) VALUES('there'), ('there too');")

    check_writable(replica)
    expect("role", replica.status()["role"], "primary")
    expect("lag of a primary", replica.one("SELECT litestream_lag() IS NULL;"), "1")
    expect_in("why the generation began", f"promoted from {generation}/",
              replica.status()["generation_reason"])
    if generation_of(replica) == generation:
        fail("both go on in one generation")
    dump = replica.dump()
    expect_in("the old primary's stream", "is not empty, and no replica of", replica.refusal(follow_sql(url)))
    expect("what the refusal left", replica.dump(), dump)
    check_writable(replica)
    expect_in("no replica any more", "is no live replica", replica.refusal(STOP))
    expect("with replace", replica.one(follow_sql(url, '{"replace":true}')), position_of(primary))
    check_level(primary, replica, f"{directory}/replica.db")
    check_read_only(replica)


def foreign_writer(kept, directory):
    primary, url = open_primary(kept, directory)
    replica = open_replica(kept, directory, "replica.db", url)
    stranger = open_stock(kept, directory, "replica.db")
    harms = ["INSERT INTO t(b) VALUES('foreign');", "CREATE TABLE foreign_one(a);",
             "DELETE FROM t; PRAGMA wal_checkpoint;", "PRAGMA user_version=7; VACUUM;"]
    for number, harm in enumerate(harms):
        stranger.ask(harm)
        primary.ask(f"INSERT INTO t(b) VALUES('commit {number}');")
        check_level(primary, replica, f"{directory}/replica.db")
        expect("what the stranger sees", stranger.dump(), primary.dump())
        expect_in("the event", "another program wrote to this replica",
                  "\n".join(events(replica, "replica_foreign_write")))
    expect("events", len(events(replica, "replica_foreign_write")), 4)


def read_only(kept, directory):
    primary, url = open_primary(kept, directory)
    replica = open_replica(kept, directory, "replica.db", url)
    dump = replica.dump()
    check_read_only(replica)
    for sql in ("DROP TABLE t;", "VACUUM;", "PRAGMA user_version=1;", "BEGIN IMMEDIATE;",
                "CREATE TABLE u(a);", "PRAGMA journal_mode=DELETE;", "PRAGMA journal_mode=MEMORY;",
                "PRAGMA locking_mode=EXCLUSIVE;"):
        expect_in(sql, "attempt to write a readonly database", replica.refusal(sql))
    for function in ("litestream_sync()", "litestream_snapshot()",
                     f"litestream_replicate('file://{directory}/copy')"):
        expect_in(function, "is a live replica", replica.refusal(f"SELECT {function};"))
    expect("what a refusal leaves", os.path.exists(f"{directory}/copy"), False)
    expect("the journal mode", replica.one("PRAGMA journal_mode;"), "wal")
    expect("the dump", replica.dump(), dump)
    primary.ask("INSERT INTO t(b) VALUES('goes on');")
    check_level(primary, replica, f"{directory}/replica.db")

    stopped_at = replica.one(STOP)
    primary.ask("INSERT INTO t(b) VALUES('unseen');")

    check_read_only(replica)
    expect("role after the stop", replica.status()["role"], "replica")
    expect("what is followed", replica.status()["upstream"], None)
    expect("where it stopped", position_of(replica), stopped_at)
    replica.quit()
    replica = open_shell(kept, directory, "replica.db")
    check_read_only(replica)
    expect("where it stopped, opened again", position_of(replica), stopped_at)
    expect("rows", replica.one("SELECT count(*) FROM t;"), "4")


def stopped_goes_on(kept, directory):
    primary, url = open_primary(kept, directory)
    replica = open_replica(kept, directory, "replica.db", url)
    replica.one(STOP)
    primary.ask("INSERT INTO t(b) VALUES('missed');")

    replica.one(follow_sql(url))

    check_level(primary, replica, f"{directory}/replica.db")


def remembered(kept, directory):
    primary, url = open_primary(kept, directory)
    replica = open_replica(kept, directory, "replica.db", url)
    for number, end in enumerate([replica.quit, None, None]):
        check_level(primary, replica, f"{directory}/replica.db")
        (end or replica.kill)()
        primary.ask(f"INSERT INTO t(b) VALUES('while it is away {number}');")
        replica = open_shell(kept, directory, "replica.db")
        check_level(primary, replica, f"{directory}/replica.db")
        check_read_only(replica)
        expect("it goes on without a snapshot", snapshots(replica), 0)
        expect("what is followed", replica.status()["upstream"]["url"], url)


def waiting(kept, directory):
    primary, url = open_primary(kept, directory)
    replica = open_replica(kept, directory, "replica.db", url)
    primary.ask("INSERT INTO t(b) VALUES('awaited');")
    position = position_of(primary)
    wait = "SELECT litestream_wait({}, {});"

    expect("litestream_wait", replica.one(wait.format(quoted(position), 30)), "1")
    expect("the row is there then", replica.one("SELECT count(*) FROM t WHERE b='awaited';"), "1")
    expect("the position", position_of(replica), position)
    generation, offset = position.split("/")[0], int(position.split(":")[1], 16)
    later = f"{generation}/0000000000000000:{offset + 4096 + 24:016x}"
    expect("a commit to come", replica.one(wait.format(quoted(later), "'50ms'")), "0")
    other = f"{'0' * 16}/0000000000000000:{offset:016x}"
    expect("another generation", replica.one(wait.format(quoted(other), "'50ms'")), "0")
    expect("lag when level", replica.one("SELECT litestream_lag();"), "0.0")
    expect("lag of the primary", primary.one("SELECT litestream_lag() IS NULL;"), "1")
    stream = wait_until("the primary lists its replica",
                        lambda: primary.ask("SELECT position FROM litestream_streams WHERE lag_seconds=0;"))
    expect("as the primary sees it", stream, [position])
    primary.kill()
    wait_until("the lag grows while the primary is away",
               lambda: float(replica.one("SELECT litestream_lag();")) > 0.5)


def primary_restarts(kept, directory):
    port = free_port()
    primary, _ = open_primary(kept, directory)
    primary.ask("SELECT litestream_serve_stop();")
    url = f"{serve(primary, f'127.0.0.1:{port}')}/app.db"
    replica = open_replica(kept, directory, "replica.db", url)
    for end in (primary.kill, None):
        (end or primary.quit)()
        wait_until("the replica notices", lambda: replica.status()["upstream"]["state"] != "streaming")
        expect("it is readable meanwhile", replica.one("SELECT count(*) > 2 FROM t;"), "1")
        primary = open_shell(kept, directory)
        serve(primary, f"127.0.0.1:{port}")
        primary.ask("INSERT INTO t(b) VALUES('again');")
        check_level(primary, replica, f"{directory}/replica.db")
    expect("recoveries", len(events(replica, "upstream_recovered")) >= 1, True)


def new_generation(kept, directory):
    port = free_port()
    primary, _ = open_primary(kept, directory)
    primary.ask("SELECT litestream_serve_stop();")
    replica = open_replica(kept, directory, "replica.db", f"{serve(primary, f'127.0.0.1:{port}')}/app.db")
    check_level(primary, replica, f"{directory}/replica.db")
    generation, count = generation_of(replica), snapshots(replica)
    primary.kill()
    stranger = open_stock(kept, directory, "app.db")
    stranger.ask("INSERT INTO t(b) VALUES('written while nobody captured'); PRAGMA wal_checkpoint(TRUNCATE);")
    stranger.quit()
    expect("the WAL is gone", os.path.exists(f"{directory}/app.db-wal"), False)

    primary = open_shell(kept, directory)
    serve(primary, f"127.0.0.1:{port}")

    wait_until("another generation", lambda: generation_of(replica) != generation)
    check_level(primary, replica, f"{directory}/replica.db")
    wait_until("it came as a snapshot", lambda: snapshots(replica) == count + 1)
    expect_in("its rows", "written while nobody captured", "\n".join(dump_of(f"{directory}/replica.db")))


PARTS = [cascade, promotion, foreign_writer, read_only, stopped_goes_on, remembered, waiting,
         primary_restarts, new_generation]


def main():
    run_parts(PARTS)
    print("live_roles: every role is kept")


main()
