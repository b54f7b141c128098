"""Names that break programs: spaces, quotes, percent signs, bytes that are no UTF-8, very long paths, links.

A database and a replica directory with such a name work, also for the next process, or the refusal is clear and
changes nothing. Links inside the meta directory are not followed, and what is remembered in a meta directory that
others can write is not followed either.

Usage: names.py MODULE
"""
import os
import sys
import tempfile
from urllib.parse import quote

from stock_shell import Shell, check_restore, expect, expect_in, fail, wait_until

MODULE = os.path.abspath(sys.argv[1]).removesuffix(".so")
NAMES = [b"with space", b"it's", b'quo"te', b"100%", b"per%20cent", b"a?b#c;d&e=f", b"back\\slash", b"new\nline",
         "\u00fcn\u00efcode \u2603".encode(), b"\xff\xfe no UTF-8 \x80", b"-dash", b"~", b"*[a]$(b)`c`"]
SQLITE_LONGEST = 512  # mxPathname of SQLite's own VFS for Unix, the end of the string included


def open_shell(path):
    uri = "file:" + quote(path) + "?vfs=litestream"
    return Shell("/", MODULE, uri)


def fill(shell, rows):
    shell.ask("CREATE TABLE IF NOT EXISTS t(n INTEGER PRIMARY KEY, b);")
    for _ in range(rows):
        shell.ask("INSERT INTO t(b) VALUES(randomblob(3000));")


def replicate_and_reopen(database, replica, scratch):
    """The whole way, twice: the second process has to find what the first one remembered."""
    url = "file://" + quote(replica)
    shell = open_shell(database)
    shell.ask(f"SELECT litestream_replicate('{url}');")
    fill(shell, 5)
    generation = shell.generation()
    check_restore(shell, url, scratch, shell.dump())
    shell.quit()
    shell = open_shell(database)
    fill(shell, 5)
    expect(f"generation of {database!r}", shell.generation(), generation)
    expect(f"replicas of {database!r}", shell.ask("SELECT count(*) FROM litestream_replicas;"), ["1"])
    shell.status()
    check_restore(shell, url, scratch, shell.dump())
    expect("litestream_unreplicate", shell.one(f"SELECT litestream_unreplicate('{url}');"), "1")
    shell.quit()


def odd_names(base, scratch):
    for name in NAMES:
        directory = os.path.join(os.fsencode(base), name)
        os.mkdir(directory)
        replicate_and_reopen(os.path.join(directory, name + b".db"), os.path.join(directory, name), scratch)


def deep(base, length):
    """A directory below `base` such that `/x` in it has a path of `length` bytes."""
    path = base
    while length - 2 - len(path) > 200:
        path += "/" + "d" * min(150, length - 2 - len(path) - 50)
    path += "/" + "d" * (length - 2 - len(path) - 1)
    os.makedirs(path)
    return path


def long_databases(base, scratch):
    for length in (300, SQLITE_LONGEST - 20, SQLITE_LONGEST - 8, SQLITE_LONGEST - 6, SQLITE_LONGEST - 1, 700):
        database = deep(f"{base}/{length}", length) + "/x"
        expect("length", len(database), length)
        if length <= SQLITE_LONGEST - 8:  # SQLite wants room for -journal
            replicate_and_reopen(database.encode(), f"{base}/{length}-replica".encode(), scratch)
            continue
        shell = open_shell(database.encode())
        text = "\n".join(shell.answer("CREATE TABLE t(a);"))
        expect_in(f"a database path of {length} bytes", "unable to open", text)
        shell.quit()
        expect("what is left", os.listdir(os.path.dirname(database)), [])


def long_replicas(base, scratch):
    shell = open_shell(f"{base}/long.db".encode())
    shell.ask("PRAGMA journal_mode=WAL;")
    fill(shell, 3)
    for length in (255, 1000, 3000, 3900, 4000, 4090, 5000):
        folder = f"{base}/r{length}"
        replica = folder
        while len(replica) < length:
            replica += "/" + "r" * min(200, max(length - len(replica) - 1, 1))
        text = "\n".join(shell.answer(f"SELECT litestream_replicate('file://{replica}', '{{\"name\":\"n{length}\"}}');"))
        if text != f"n{length}":
            expect_in(f"a replica path of {length} bytes", os.strerror(36), text)
            expect("what a refused one leaves", os.path.exists(folder), False)
            if length <= 3900:
                fail(f"a replica path of {length} bytes is refused: {text[-200:]}")
            continue
        if length >= 4096:
            fail(f"a path of {length} bytes cannot work")
        shell.sync()
        check_restore(shell, f"file://{replica}", scratch, shell.dump())
    shell.quit()


def linked_database(base, scratch):
    os.makedirs(f"{base}/real")
    os.symlink("real/app.db", f"{base}/link.db")
    shell = open_shell(f"{base}/link.db".encode())
    shell.ask(f"SELECT litestream_replicate('file://{base}/linked-replica');")
    fill(shell, 3)
    generation = shell.generation()
    shell.quit()
    expect("beside the link", sorted(os.listdir(base)).count("link.db-litestream"), 0)
    shell = open_shell(f"{base}/real/app.db".encode())
    fill(shell, 3)
    expect("generation through the real name", shell.generation(), generation)
    check_restore(shell, f"file://{base}/linked-replica", scratch, shell.dump())
    shell.quit()


def links_inside(base, scratch):
    directory = f"{base}/inside"
    os.mkdir(directory)
    meta, url, precious = f"{directory}/app.db-litestream", f"file://{directory}/replica", f"{directory}/precious"
    with open(precious, "w", encoding="utf-8") as file:
        file.write("precious")
    shell = open_shell(f"{directory}/app.db".encode())
    shell.ask(f"SELECT litestream_replicate('{url}');")
    fill(shell, 3)
    shell.sync()
    shell.quit()
    for name in sorted(os.listdir(meta)):
        if os.path.isdir(f"{meta}/{name}"):
            continue
        os.rename(f"{meta}/{name}", f"{directory}/kept")
        os.symlink(precious, f"{meta}/{name}")
        shell = open_shell(f"{directory}/app.db".encode())
        fill(shell, 2)
        shell.answer("SELECT litestream_sync(1);")
        why = shell.status()["why"]
        shell.quit()
        with open(precious, encoding="utf-8") as file:
            expect(f"what {name} led to", file.read(), "precious")
        if os.path.islink(f"{meta}/{name}"):
            # A link that made no difference was not needed; one that stands in the way is named.
            if name in ("generation", "position", "capture-lock", "replicas.json"):
                expect_in(f"why, with a link at {name}", f"{meta}/{name}", why or "")
            os.unlink(f"{meta}/{name}")
        if not os.path.exists(f"{meta}/{name}"):
            os.rename(f"{directory}/kept", f"{meta}/{name}")
        shell = open_shell(f"{directory}/app.db".encode())
        fill(shell, 2)
        shell.sync()
        check_restore(shell, url, scratch, shell.dump())
        shell.quit()


def writable_by_others(base, scratch):
    directory = f"{base}/writable"
    os.mkdir(directory)
    meta, url = f"{directory}/app.db-litestream", f"file://{directory}/replica"
    shell = open_shell(f"{directory}/app.db".encode())
    shell.ask(f"SELECT litestream_replicate('{url}');")
    fill(shell, 3)
    shell.sync()
    shell.quit()
    spoil = [lambda: os.chmod(meta, 0o775), lambda: os.chmod(f"{meta}/replicas.json", 0o666)]
    if os.geteuid() == 0:
        spoil += [lambda: os.chown(meta, 12345, -1), lambda: os.chown(f"{meta}/replicas.json", 12345, -1)]
    for change in spoil:
        change()
        shell = open_shell(f"{directory}/app.db".encode())
        fill(shell, 3)
        wait_until("its commits are captured", lambda: shell.status()["position"])
        status = shell.status()
        expect_in("why", meta, status["why"] or "")
        expect("replicas", status["replicas"], [])
        shell.quit()
        os.chmod(meta, 0o755)
        os.chmod(f"{meta}/replicas.json", 0o600)
        os.chown(meta, os.geteuid(), -1)
        os.chown(f"{meta}/replicas.json", os.geteuid(), -1)
        shell = open_shell(f"{directory}/app.db".encode())
        shell.sync()
        check_restore(shell, url, scratch, shell.dump())
        shell.quit()


PARTS = [odd_names, long_databases, long_replicas, linked_database, links_inside, writable_by_others]


def main():
    with tempfile.TemporaryDirectory() as base, tempfile.TemporaryDirectory() as scratch:
        for part in PARTS:
            print(part.__name__.replace("_", " "), flush=True)
            part(os.path.realpath(base), scratch)
    print("names: all work, or are refused in words")


main()
