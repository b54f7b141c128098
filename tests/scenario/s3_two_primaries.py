"""Two primaries want one prefix of a real S3 server: two databases, and a database and its copy, at the same
moment. Nobody's files lie among the winner's, the loser says who won and loses no commit of its own, and the
winner's states restore. And a take-over with `adopt`.

Usage: s3_two_primaries.py MODULE SERVERS [ROUNDS]
"""
import json
import os
import shutil
import sys

from s3_server import S3Shell, run_parts
from stock_shell import END, check_restore, expect, expect_in, fail, quoted, wait_until

ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 6
FAST = '{"sync_interval":0}'


def open_shell(shells, directory):
    shells.append(S3Shell(directory))
    return shells[-1]


def new_primary(shells, directory, note):
    shell = open_shell(shells, directory)
    shell.ask(f"PRAGMA journal_mode=WAL; CREATE TABLE t(n INTEGER PRIMARY KEY, note); INSERT INTO t(note) VALUES('{note}');")
    return shell


def at_once(shells, sql):
    """Sends to all before it reads an answer."""
    for shell in shells:
        shell.send(sql)
        shell.send(f"SELECT '{END}';")
    for shell in shells:
        if shell.lines_until(END) is None:
            fail("a shell ended")


def generations_in(server, prefix):
    return {name.split("/")[1] for name in server.names(prefix) if name.startswith("generations/")}


def compete(server, rivals, prefix, folder):
    """The winner and the loser."""
    url = server.url(prefix)
    at_once(rivals, f"SELECT litestream_replicate({quoted(url)}, {quoted(FAST)});")
    dumps = {}
    for _ in range(5):
        at_once(rivals, "INSERT INTO t(note) VALUES(hex(randomblob(500)));")
    owner = json.load(open(os.path.join(server.bucket, prefix, "litestream-owner.json"), encoding="utf-8"))["database"]
    winners = [shell for shell in rivals if shell.status()["database"] == owner]
    expect("winners", len(winners), 1)
    winner, = winners
    loser, = [shell for shell in rivals if shell is not winner]
    said = loser.refusal(f"SELECT litestream_replicate({quoted(url)}, {quoted(FAST)});")
    expect_in("the loser names the winner", owner, said)
    for _ in range(5):
        at_once(rivals, "INSERT INTO t(note) VALUES(hex(randomblob(500)));")
        dumps[winner.sync()] = winner.dump()
    expect("whose generations", generations_in(server, prefix), {winner.generation()})
    for position, dump in dumps.items():
        check_restore(winner, url, folder, dump, json.dumps({"position": position}))
    expect("the loser's commits", loser.one("SELECT count(*) FROM t;"), winner.one("SELECT count(*) FROM t;"))
    return winner, loser


def two_databases(server, folder, shells):
    first, second = (new_primary(shells, f"{folder}/{name}", name) for name in ("first", "second"))
    for number in range(ROUNDS):
        winner, _ = compete(server, [first, second], f"round{number}", folder)
        winner.one(f"SELECT litestream_unreplicate({quoted(server.url(f'round{number}'))});")
        first, second = second, first


def a_database_and_its_copy(server, folder, shells):
    original = new_primary(shells, f"{folder}/original", "both")
    original.replicate(server.url("before"), FAST)
    original.sync()
    original.quit()
    before = server.names("before")
    shutil.copytree(f"{folder}/original", f"{folder}/copy")

    original, copy = open_shell(shells, f"{folder}/original"), open_shell(shells, f"{folder}/copy")
    copy.ask("INSERT INTO t(note) VALUES('of the copy');")
    expect("a copy follows nothing by itself", copy.status()["replicas"], [])
    original.sync()
    expect("what the copy wrote there", server.names("before"), before)
    expect_in("the copy is told", f"{folder}/original/app.db",
              copy.refusal(f"SELECT litestream_replicate({quoted(server.url('before'))});"))
    original.one(f"SELECT litestream_unreplicate({quoted(server.url('before'))});")
    original.ask("INSERT INTO t(note) VALUES('as many rows');")
    compete(server, [original, copy], "after", folder)


def is_refused(shell):
    """Who lost the prefix looks again when a sync waits, once a second at most."""
    shell.ask("INSERT INTO t(note) VALUES('too late');")
    return any("rror" in line for line in shell.answer("SELECT litestream_sync('5s');"))


def adopt(server, folder, shells):
    old, new = (new_primary(shells, f"{folder}/{name}", name) for name in ("old", "new"))
    old.replicate(server.url(), FAST)
    states = {old.sync(): old.dump()}

    expect_in("refused", f"{folder}/old/app.db", new.refusal(f"SELECT litestream_replicate({quoted(server.url())});"))
    new.replicate(server.url(), '{"sync_interval":0,"adopt":true}')
    states[new.sync()] = new.dump()
    wait_until("the old one is no longer acknowledged", lambda: is_refused(old))
    expect("the old one", old.status()["replicas"][0]["state"], "fenced")
    expect_in("it says why", f"{folder}/new/app.db", old.status()["replicas"][0]["last_error"])
    expect_in("and in its events", f"{folder}/new/app.db",
              old.one("SELECT detail FROM litestream_events WHERE kind='replica_fenced';"))
    files = server.names()
    old.ask("INSERT INTO t(note) VALUES('local');")
    old.refusal("SELECT litestream_sync('500ms');")
    expect("what it still writes", server.names(), files)
    new.ask("INSERT INTO t(note) VALUES('goes on');")
    states[new.sync()] = new.dump()
    for position, dump in states.items():
        check_restore(new, server.url(), folder, dump, json.dumps({"position": position}))
    check_restore(new, server.url(), folder, new.dump())


run_parts([two_databases, a_database_and_its_copy, adopt])
